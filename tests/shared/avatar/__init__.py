"""Tests of `shared/avatar`."""
