"""How long a test waits: it costs nothing where it passes, and a slow machine needs it."""

PATIENCE_S = 180.0  # until a test that waits in vain has failed
