"""Parts of a single-machine studio: channel supervisor, render farm, Redis, LiveKit server, samples."""
