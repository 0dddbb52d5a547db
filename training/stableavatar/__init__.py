"""Trains StableAvatar's transformer on a folder of films.

A LoRA with the layers that hear, or nearly the whole of it.
"""
