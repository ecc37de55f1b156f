"""The only I/O: each module here owns one outside thing (git, Docker, Terraform, a socket)."""
