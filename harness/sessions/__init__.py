"""Sessions for tests and measurements: a studio that serves sessions only, and voice agents in its rooms."""
