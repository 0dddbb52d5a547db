"""Tests of `engines/mesh`."""
