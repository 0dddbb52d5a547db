"""Tests of `services/gateway/channel`."""
