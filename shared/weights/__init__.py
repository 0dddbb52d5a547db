"""Weights of engines: manifests, downloads, safe loading of checkpoints and their cache."""
