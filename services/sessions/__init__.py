"""Faces for other applications' voice bots.

Voice out of their rooms, the avatar published into them, many in a process.
"""
