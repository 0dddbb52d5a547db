"""Services that run for tests, and their clients, receivers and proxies."""
