"""Tests of `engines/dhlive`."""
