"""Generator service: turns driving frames and voice into the stream "face"."""
