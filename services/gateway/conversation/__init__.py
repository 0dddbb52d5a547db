"""The conversation: microphone and typed questions in, a streamed answer that the host speaks."""
