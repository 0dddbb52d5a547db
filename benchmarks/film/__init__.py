"""Benchmarks of the analysis of a filmed body."""
