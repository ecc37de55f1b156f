"""A Terraform provider for one Docker engine, for machines that cannot download the official one.

It serves the source address, version, schema and state of kreuzwerker/docker 3.6.2 for
docker_network, docker_volume, docker_image and docker_container; an attribute it does not
implement is an error at validate. It must not know this project's model: any Terraform
configuration for the official provider is welcome here.
"""
