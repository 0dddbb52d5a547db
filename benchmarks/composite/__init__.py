"""Benchmarks of what a viewer sees where a face lies on a foreign body."""
