"""PersonaLive's networks, and their noise schedule."""
