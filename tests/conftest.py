"""What several tests share: a home with the sample avatars, built once."""

from pathlib import Path

import pytest

from shared.sample_avatar import ensure_sample_avatars


@pytest.fixture(scope="session")
def sample_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder that holds the avatars `sample` and `sample-video`. Treat it as read-only."""
    home = tmp_path_factory.mktemp("home")
    ensure_sample_avatars(home)
    return home
