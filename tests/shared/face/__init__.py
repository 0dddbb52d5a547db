"""Tests of `shared/face`."""
