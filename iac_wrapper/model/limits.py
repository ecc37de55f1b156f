"""How much a repos file may hold."""

MAX_ENTRIES = 500
"""Services: far above what one Docker host runs; keeps a mistaken or hostile file from costing
much."""

MAX_ENVIRONMENTS = 20
"""As above: each is worked out at every reading of the file, so that none is wrong unseen."""
