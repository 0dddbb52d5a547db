"""Tests of `services/capture`."""
