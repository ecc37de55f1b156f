"""A gRPC service in plain text on $PORT: the sidecar beside it speaks mTLS for it."""
