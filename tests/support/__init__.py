"""Helpers that tests share: running services, engines, material."""
