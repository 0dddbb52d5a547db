"""What every process needs: service loop, clock, logs, files, child processes."""
