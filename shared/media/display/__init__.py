"""How frames and stills are meant to be shown.

Upright, whole, in the colours they were made in, with their own cut-out.
"""
