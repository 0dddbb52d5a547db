"""Tests of `compositing`."""
