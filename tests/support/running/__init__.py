"""Services that run for tests, and what is around them."""
