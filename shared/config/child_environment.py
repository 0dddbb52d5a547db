"""The environment of a process that the studio starts: its settings, and no secret it has no use for."""

import os

from shared.config.layered import PREFIX
from shared.config.settings import Settings

KEPT_BACK = (PREFIX, "LIVEKIT_", "REDIS_")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def child_environment(
    settings: Settings, *, secrets: bool = False, redis_url: str | None = None, threads: int | None = None
) -> dict[str, str]:
    """Return this process's environment with the settings in place of every variable that could hold one.

    secrets: whether secret settings go along. redis_url: given to a process that talks to Redis. threads: of each library
    that keeps a pool.
    """
    variables = {key: value for key, value in os.environ.items() if not key.startswith(KEPT_BACK)}
    variables |= settings.environment(secrets=secrets)
    if redis_url:
        variables[f"{PREFIX}REDIS_URL"] = redis_url
    if threads:
        variables |= dict.fromkeys(THREADS, str(threads))
    return variables
