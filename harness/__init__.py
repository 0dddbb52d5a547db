"""Shared by benchmarks and tests: a running channel, a browser, subscribers, stand-in weights, quality measures."""
