"""Avatars: loading, building, plates, masks, mattes and light."""
