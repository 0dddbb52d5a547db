"""PersonaLive's networks, and the noise schedule they are built around."""
