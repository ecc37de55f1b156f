"""The Flask admin API (not built yet)."""
