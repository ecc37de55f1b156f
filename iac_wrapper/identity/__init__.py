"""Certificates, and the proofs made with them: who a service is, and what it answers."""
