"""Where the program goes: LiveKit, RTMP, recordings."""
