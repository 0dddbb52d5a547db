"""Handling of users' media files: format detection, choice of tracks, damage, and the sentences that refuse files."""
