"""Tests of `shared/jobs`."""
