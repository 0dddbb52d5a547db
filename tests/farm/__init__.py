"""Tests of a whole render farm: workers, Redis, and their failures."""
