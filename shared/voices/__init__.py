"""Text to speech by voices, which are servers or programs that are installed on this machine."""
