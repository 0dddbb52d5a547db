"""Checkpoints: the manifest, downloads, safe reading, the cache."""
