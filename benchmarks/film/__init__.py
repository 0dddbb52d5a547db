"""Benchmarks of how a filmed body is understood."""
