"""Tests of `shared/config`."""
