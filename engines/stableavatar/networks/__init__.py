"""StableAvatar's networks, with the names of the published checkpoints."""
