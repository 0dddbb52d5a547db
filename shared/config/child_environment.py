"""The environment of a process that the studio starts: its settings, and no secret it has no use for."""

import os

from shared.config.layered import PREFIX
from shared.config.settings import Settings

KEPT_BACK = (PREFIX, "LIVEKIT_", "REDIS_")
STORE_KEYS = ("AWS_", "AZURE_", "GOOGLE_", "GCS_", "FSSPEC_", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def outside_environment() -> dict[str, str]:
    """Return this process's environment for a program that is not the studio's, without any settings or keys."""
    return {key: value for key, value in os.environ.items() if not key.startswith(KEPT_BACK + STORE_KEYS)}


def child_environment(
    settings: Settings,
    *,
    secrets: bool = False,
    store: bool = False,
    redis_url: str | None = None,
    threads: int | None = None,
) -> dict[str, str]:
    """Return this process's environment with the settings in place of every variable that could hold one.

    secrets: whether secret settings go along. store: whether the keys of an object store do, for a process that reads
    jobs. redis_url: given to a process that talks to Redis. threads: of each library that keeps a pool.
    """
    held = KEPT_BACK if store else KEPT_BACK + STORE_KEYS
    variables = {key: value for key, value in os.environ.items() if not key.startswith(held)}
    variables |= settings.environment(secrets=secrets)
    if redis_url:
        variables[f"{PREFIX}REDIS_URL"] = redis_url
    if threads:
        variables |= dict.fromkeys(THREADS, str(threads))
    return variables
