"""From a voice to a motion: hear, tell the visemes, speak them with a face."""
