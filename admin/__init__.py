"""The admin API: the operations of `iac` over HTTP, a Unix socket and gRPC."""
