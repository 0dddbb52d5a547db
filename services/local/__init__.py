"""What one machine starts for itself: channel processes, render workers, Redis, LiveKit, samples."""
