"""How frames and stills are meant to be shown: upright, whole, in the colours they were made in, with their own cut-out."""
