"""Foundations of every process: clock, logs, files and locks, child processes, stop signals, serialised arrays."""
