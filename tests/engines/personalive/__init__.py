"""Tests of `engines/personalive`."""
