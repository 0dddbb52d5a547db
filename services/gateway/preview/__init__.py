"""The browser preview: the program as full frames, or as the part of each frame that differs from the plate."""
