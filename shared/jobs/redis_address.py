"""Where Redis is: the one that is named, or the studio's own, which leaves its address in the studio's folder."""

import json
import socket
from pathlib import Path

from shared.config.settings import Settings
from shared.runtime.file_lock import is_locked

FOLDER = "redis"
ADDRESS = "redis.json"  # this user's alone: it has the password
LOCK = "lock"  # held by the owner for as long as its Redis runs


def redis_url(settings: Settings) -> str | None:
    """The address of Redis with its password, None where none is named and the studio's own does not run."""
    if settings.redis_url:
        return settings.redis_url.get_secret_value()
    return own_redis(settings.home)


def own_redis(home: Path) -> str | None:
    """The address of the studio's own Redis, None where it does not run on this machine."""
    facts = read_address(home)
    return facts["url"] if facts and facts["host"] == socket.gethostname() and is_locked(home / FOLDER / LOCK) else None


def read_address(home: Path) -> dict[str, str] | None:
    """What the studio's own Redis left, perhaps long ago: `url` and `host`. None where nothing can be read."""
    try:
        facts = json.loads((home / FOLDER / ADDRESS).read_bytes())
        return {"url": str(facts["url"]), "host": str(facts["host"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None
