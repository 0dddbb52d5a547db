"""Capture service: reads a driver and sends the streams "driving" and "voice"."""
