"""Simulated viewers for tests and measurements: of the preview, of watch links and in a LiveKit room."""
