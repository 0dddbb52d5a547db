"""Tests of `services/gateway/preview`."""
