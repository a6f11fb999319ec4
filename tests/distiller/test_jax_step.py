"""Runs on JAX whatever the backend of the other tests: in its own process."""
