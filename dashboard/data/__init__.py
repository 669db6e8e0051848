"""Data: what the pages show, read from the lake, its files and AWS, with the caches that keep it."""
