"""Pushing over RTMP, in a process of its own."""
