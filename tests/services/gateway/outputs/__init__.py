"""Tests of `services/gateway/outputs`."""
