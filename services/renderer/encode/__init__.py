"""Encoding of segments, their concatenation, and the driver's sound."""
