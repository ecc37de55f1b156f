"""Signed pushes from git hosts: is it from them, what was pushed, which services does it concern.

No Flask in here: a route hands over headers and the raw body.
"""
