"""Engines made for tests, and tiny networks of the real ones."""
