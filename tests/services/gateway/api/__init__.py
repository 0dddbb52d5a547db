"""Tests of `services/gateway/api`."""
