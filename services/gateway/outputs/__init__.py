"""Outputs of the program: LiveKit, RTMP, recordings."""
