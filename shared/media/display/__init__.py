"""Converts decoded frames and stills for display: upright, deinterlaced, in sRGB, with their alpha."""
