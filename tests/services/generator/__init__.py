"""Tests of `services/generator`."""
