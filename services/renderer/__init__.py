"""A file in, a finished MP4 out: engines and compositor in one process."""
