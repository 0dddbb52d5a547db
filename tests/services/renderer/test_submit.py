"""What a job writes down of the machine that it was handed in on, and that it is on disk before it is promised."""

import errno
import importlib.metadata
import re
from pathlib import Path

import pytest

from services.renderer.job.submit import PACKAGES, JobRequest, submit_to_store, versions
from shared.config.settings import load_settings
from shared.errors import NoSpaceError
from shared.jobs.status import jobs
from shared.jobs.store import LocalStore
from tests.support.files.sound_files import tone, wav


def test_every_package_whose_version_is_kept_is_the_studios_or_one_it_asks_for() -> None:
    asked_for = {
        re.split(r"[^\w-]", line)[0]: "extra ==" in line for line in importlib.metadata.requires("persona-studio") or ()
    }
    assert set(PACKAGES) <= {"persona-studio", *asked_for}
    always = {name for name in PACKAGES if not asked_for.get(name, False)}
    assert always <= versions().keys()


@pytest.mark.parametrize("written", [".", ".job.json"])
def test_a_full_disk_promises_no_job(
    tmp_path: Path, small_home: Path, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flush(path: Path) -> None:
        if path.name.startswith(written):
            raise OSError(errno.ENOSPC, "No space left on device")

    driver = tmp_path / "talk.wav"
    driver.write_bytes(wav(tone(0.2, rate=16_000), 16_000))
    store = LocalStore(tmp_path / "jobs")
    monkeypatch.setattr("shared.jobs.store.flush_to_disk", flush)
    with pytest.raises(NoSpaceError, match="free some space there and submit it again"):
        submit_to_store(store, JobRequest(small_home / "avatars" / "sample", driver), load_settings(home=small_home))
    assert jobs(store) == []
