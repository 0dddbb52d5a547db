"""Tests of the source tree: which folder holds what, and which module imports what."""
