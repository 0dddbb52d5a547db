"""Publishing a program to a LiveKit room: connection, sources, tokens. A library that services use."""
