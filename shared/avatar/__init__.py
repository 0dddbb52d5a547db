"""Avatars: model, build, plate, mask, matte, light."""
