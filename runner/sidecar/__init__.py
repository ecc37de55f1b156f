"""PID 1 of the Envoy container: sets the firewall once, drops every privilege, supervises Envoy.

Standard library only: it runs with ``python3 -I -S`` in an image without any package. It must not
know other services or what certificates say: it gets a role and a few values in its environment.
"""
