"""Benchmarks of single engines, alone and compared with their originals."""
