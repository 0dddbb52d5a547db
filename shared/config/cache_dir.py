"""Where things that are fetched or built once are kept, outside the clone and outside the studio's home."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """What deploy/livekit.sh fills: ~/.cache/persona-studio unless PERSONA_STUDIO_CACHE says otherwise."""
    return Path(os.environ.get("PERSONA_STUDIO_CACHE") or "~/.cache/persona-studio").expanduser()
