"""What every process needs: clock, logs, files and locks, child processes, stop signals, arrays for other processes."""
