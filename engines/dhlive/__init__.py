"""The `dhlive` engine: a small network makes a filmed face speak, at 25 frames per second on one CPU core."""
