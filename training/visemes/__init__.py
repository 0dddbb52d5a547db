"""Training of the mesh engine's viseme network: synthesised speech, its labels, and the trainer."""
