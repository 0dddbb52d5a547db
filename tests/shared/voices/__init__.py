"""Tests of `shared/voices`."""
