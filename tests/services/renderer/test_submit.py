"""What a job records of the machine that it was submitted on, and that it is on disk before it is accepted."""

import errno
import importlib.metadata
import re
from pathlib import Path

import pytest

from services.renderer.job import submit
from services.renderer.job.submit import PACKAGES, JobRequest, submit_to_store, versions
from shared.avatar.plate_frames import CUT_OUT_INDEX, CUT_OUTS
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


def test_an_avatars_own_cut_out_goes_with_its_jobs(tmp_path: Path) -> None:
    keys = set()
    for name, content in (("a", None), ("b", b"one"), ("c", b"another")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "roi.png").write_bytes(b"the same")
        if content is not None:
            (tmp_path / name / CUT_OUTS).write_bytes(content)
            (tmp_path / name / CUT_OUT_INDEX).write_bytes(content)
        keys.add(submit._avatar_files(tmp_path / name))
    assert len(keys) == 3, "avatars that differ in it are kept apart"
