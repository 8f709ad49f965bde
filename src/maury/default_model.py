"""The model that answers when nobody names one."""

from __future__ import annotations

__all__ = ["DEFAULT_MODEL"]

DEFAULT_MODEL = "maury-base"
