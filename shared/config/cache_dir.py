"""The cache folder, for files that are downloaded or built once; outside the clone and the studio's home."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the cache folder: PERSONA_STUDIO_CACHE, or ~/.cache/persona-studio; deploy/livekit.sh uses the same."""
    return Path(os.environ.get("PERSONA_STUDIO_CACHE") or "~/.cache/persona-studio").expanduser()
