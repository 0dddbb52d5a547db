"""Tests of `shared/weights`."""
