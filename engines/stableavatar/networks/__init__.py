"""The networks, with the names that the published checkpoints have."""
