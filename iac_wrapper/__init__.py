"""KarstKit core: the command side. Never imports cdktf (see ARCHITECTURE.md)."""

__version__ = "0.1.0"
