"""Trains StableAvatar's transformer on a folder of films.

Either a LoRA together with the speech layers, or nearly the whole transformer.
"""
