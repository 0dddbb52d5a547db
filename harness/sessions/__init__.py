"""Sessions for tests and measurements: a studio that serves nothing else, and agents in its rooms."""
