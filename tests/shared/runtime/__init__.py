"""Tests of `shared/runtime`."""
