"""The `dhlive` engine: a filmed face speaks by a small network, 25 frames a second on one CPU core."""
