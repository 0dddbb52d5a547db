"""Environment variables for processes that the studio starts: the settings, and only the secrets that they need."""

import os

from shared.config.layered import PREFIX
from shared.config.settings import Settings

KEPT_BACK = (PREFIX, "LIVEKIT_", "REDIS_")
STORE_KEYS = ("AWS_", "AZURE_", "GOOGLE_", "GCS_", "FSSPEC_", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def outside_environment() -> dict[str, str]:
    """Return this process's environment without settings and keys, for a program that is not part of the studio."""
    return {key: value for key, value in os.environ.items() if not key.startswith(KEPT_BACK + STORE_KEYS)}


def child_environment(
    settings: Settings,
    *,
    secrets: bool = False,
    store: bool = False,
    redis_url: str | None = None,
    threads: int | None = None,
) -> dict[str, str]:
    """Return this process's environment, with all variables of settings replaced by those of `settings`.

    secrets: include secret settings. store: include the keys of object stores, for a process that reads jobs.
    redis_url: the Redis address, for a process that uses Redis. threads: size of each numeric library's thread pool.
    """
    held = KEPT_BACK if store else KEPT_BACK + STORE_KEYS
    variables = {key: value for key, value in os.environ.items() if not key.startswith(held)}
    variables |= settings.environment(secrets=secrets)
    if redis_url:
        variables[f"{PREFIX}REDIS_URL"] = redis_url
    if threads:
        variables |= dict.fromkeys(THREADS, str(threads))
    return variables
