"""Comparison of the engines with their originals."""
