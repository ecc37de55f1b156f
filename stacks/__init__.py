"""The stack: provider, backend, network, gateway and one AppWithEnvoy per app."""
