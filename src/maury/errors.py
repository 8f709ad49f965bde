"""The one error type that is meant for the user's eyes."""

__all__ = ["MauryError"]


class MauryError(ValueError):
    """A mistake in what the user gave: the message says what is wrong, where, and what to do."""
