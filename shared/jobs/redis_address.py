"""Address of Redis: the one in the settings, or the studio's own, which stores its address in the studio's home."""

import json
import socket
from pathlib import Path

from shared.config.settings import Settings
from shared.runtime.file_lock import is_locked

FOLDER = "redis"
ADDRESS = "redis.json"  # readable by this user alone, because it contains the password
LOCK = "lock"  # locked by the owning process while its Redis runs


def redis_url(settings: Settings) -> str | None:
    """Return the URL of Redis with its password; None if none is set and the studio's own does not run."""
    if settings.redis_url:
        return settings.redis_url.get_secret_value()
    return own_redis(settings.home)


def own_redis(home: Path) -> str | None:
    """The address of the studio's own Redis, None where it does not run on this machine."""
    facts = read_address(home)
    return facts["url"] if facts and facts["host"] == socket.gethostname() and is_locked(home / FOLDER / LOCK) else None


def read_address(home: Path) -> dict[str, str] | None:
    """Return `url` and `host` from the address file, which may be outdated; None if it cannot be read."""
    try:
        facts = json.loads((home / FOLDER / ADDRESS).read_bytes())
        return {"url": str(facts["url"]), "host": str(facts["host"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None
