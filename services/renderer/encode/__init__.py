"""Segments, their concatenation, and the driver's sound."""
