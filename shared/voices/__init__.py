"""Text spoken by a voice: a server, or a program that is installed on this machine."""
