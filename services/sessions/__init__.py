"""Sessions service: faces for the voice bots of other applications.

It receives voice from their LiveKit rooms and publishes the avatar into them; one process serves many rooms.
"""
