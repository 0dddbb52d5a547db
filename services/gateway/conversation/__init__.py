"""The conversation with the host: spoken or typed questions, and streamed answers that the host speaks."""
