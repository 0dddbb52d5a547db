"""A whole render farm: workers, Redis, and what can happen to them."""
