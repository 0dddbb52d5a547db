"""What a first run needs to have something to show: two sample avatars and a driver."""

from collections.abc import Callable
from pathlib import Path

from services.local.sample_driver import ensure_sample_driver
from shared.avatar.samples import ensure_sample_avatars
from shared.errors import StudioError


def ensure_samples(home: Path, progress: Callable[[str, float], None]) -> None:
    """Build the sample avatars and the sample driver where they are missing. Raises StudioError."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        ensure_sample_avatars(home, progress)
        ensure_sample_driver(home, progress)
    except OSError as error:
        raise StudioError(
            f"The studio's home {home} cannot be used ({error.strerror}); set another with STUDIO_HOME."
        ) from None
