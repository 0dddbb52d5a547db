"""Tests of `training/stableavatar`."""
