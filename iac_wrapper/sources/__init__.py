"""From a slug to a folder: resolve, fetch, unpack, cache. Knows nothing of what is in it."""
