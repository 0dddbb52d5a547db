"""Publishing to a LiveKit room."""
