"""Deploys, plans and destroys as jobs: records on disk, a worker process each."""
