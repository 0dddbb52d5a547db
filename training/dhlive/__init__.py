"""Trains the mouth network of DH_live's second mini generation on a film of a speaking person."""
