"""Where maury keeps what it builds or downloads."""

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """The user's cache: ``$MAURY_CACHE``, else ``maury`` in ``$XDG_CACHE_HOME``, else
    ``~/.cache/maury``."""
    if chosen := os.environ.get("MAURY_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "maury"
