"""The mouth networks of three generations and the audio network.

Attribute names are the published checkpoints' keys.
"""
