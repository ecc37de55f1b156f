"""Use cases, one module each, called by the CLI and the API alike."""
