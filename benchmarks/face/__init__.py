"""Benchmarks of face tracking."""
