"""Tests of `engines/duix`."""
