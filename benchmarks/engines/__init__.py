"""Benchmarks of single engines, alone and beside their originals."""
