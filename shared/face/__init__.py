"""Faces: landmarks, tracking, neutral face, rest pose and the scripted performance."""
