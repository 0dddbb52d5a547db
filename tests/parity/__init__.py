"""Engines held against their originals."""
