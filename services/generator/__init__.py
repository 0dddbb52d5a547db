"""Driving and voice in, "face" stream out."""
