"""Driver in, "driving" and "voice" streams out."""
