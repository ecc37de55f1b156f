"""The endpoints, a noun a file."""
