"""Tickerlake: a small lake of stock bars that you own, and that remembers what the vendor said, and when."""

__version__ = "0.1.0"
