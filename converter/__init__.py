"""Offline conversion of exported virtual machines into images that boot on Amazon EC2."""

__version__ = "0.1.0"
