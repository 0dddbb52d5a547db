"""Engines made for tests, and the real engines with tiny networks."""
