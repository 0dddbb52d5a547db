"""A whole channel, started as a user starts it."""
