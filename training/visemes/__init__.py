"""How the network that hears visemes, the mesh engine's, is trained: synthesised speech, its labels, the trainer."""
