"""``python -m maury``, the form in which torchrun starts a module."""

from maury.cli import main

main()
