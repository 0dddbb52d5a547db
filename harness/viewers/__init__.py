"""Viewers for tests and measurements: of the preview, of watch links, in a LiveKit room."""
