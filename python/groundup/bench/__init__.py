"""Measurements: ops against their references (`ops`), whole jobs against other libraries (`peers`)."""
