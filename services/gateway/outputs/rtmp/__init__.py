"""The RTMP output, whose network connection is in a separate process."""
