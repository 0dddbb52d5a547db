"""Benchmarks of the seam that a viewer sees around a face on another person's body."""
