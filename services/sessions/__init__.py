"""Faces for other applications' voice bots.

Voice comes out of their rooms, and the avatar is published into them; one process serves many.
"""
