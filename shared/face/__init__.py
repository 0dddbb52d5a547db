"""Faces: landmarks, tracking, neutral, rest pose, the scripted performance."""
