"""Constructs of one service and their templates: pure functions of their props, no I/O."""
