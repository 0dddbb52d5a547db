"""Tests of `training/dhlive`."""
