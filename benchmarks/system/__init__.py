"""Benchmarks of the running studio: channel, services, workers."""
