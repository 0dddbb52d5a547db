"""Tests of `services/gateway/jobs`."""
