"""Engines' networks at tiny sizes with seeded weights, one module an engine."""
