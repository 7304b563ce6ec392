"""Fault injection: `python -m tests.torture`, or `make torture`."""
