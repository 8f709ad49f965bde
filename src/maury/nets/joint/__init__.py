"""The joint density of parameters and data: any conditional from one network."""
