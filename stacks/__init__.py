"""The stack of this checkout, made of the public constructs as anybody's would be."""
