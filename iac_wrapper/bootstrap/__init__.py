"""`make bootstrap`: finds, installs or builds what this machine lacks, and records it.

Each module is one part of the set-up. What to do is decided by pure functions from facts; only
then is something run. Nothing here knows about projects, apps or Terraform's state.
"""
