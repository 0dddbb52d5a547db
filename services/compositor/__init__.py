"""Compositor service: places faces on the plate and sends the program, on the program clock."""
