"""Locks of other tools, read as data: what each pins, as lines that uv installs (decision 0037)."""
