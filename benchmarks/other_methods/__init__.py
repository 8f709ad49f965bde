"""Other ways to the parameters of maury's mock stars, timed and judged alike (`baselines.py`)."""
