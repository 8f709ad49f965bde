"""maury: calibrated posteriors of stellar parameters from any mix of surveys."""
