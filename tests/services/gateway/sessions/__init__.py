"""Tests of `services.gateway.sessions`."""
