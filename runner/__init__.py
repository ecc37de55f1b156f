"""What runs inside containers: the PID 1 beside the user code and the PID 1 beside Envoy."""
