"""Frozen values without I/O: what is wanted, what was found, what is running."""
