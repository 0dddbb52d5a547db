"""Tests of `shared/face/networks`."""
