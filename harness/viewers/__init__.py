"""Simulated viewers of the preview, of watch links and of a LiveKit room, for tests and measurements."""
