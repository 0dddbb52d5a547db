"""Motion from a voice: features of the sound, visemes from the features, and a speaking face from the visemes."""
