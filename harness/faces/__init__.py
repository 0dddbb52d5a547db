"""Faces to find, and how closely one follows another."""
