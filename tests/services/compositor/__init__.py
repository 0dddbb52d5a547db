"""Tests of `services/compositor`."""
