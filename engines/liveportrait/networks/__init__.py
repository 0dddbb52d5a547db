"""LivePortrait's networks, and how their checkpoints are found and loaded."""
