"""From a checkout to a build: what runs, on which Python, with what installed. Never runs it."""
