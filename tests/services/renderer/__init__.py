"""Tests of `services/renderer`."""
