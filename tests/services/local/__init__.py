"""Tests of `services/local`."""
