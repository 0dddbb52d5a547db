"""Locks on files, between processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.runtime.file_lock import is_locked, open_lock, try_lock

HOLDER = """
import sys
from pathlib import Path
from shared.runtime.file_lock import open_lock, try_lock
assert try_lock(open_lock(Path(sys.argv[1])))
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.mark.apart
def test_a_lock_belongs_to_one_process_and_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    assert not is_locked(path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"locked\n"
        assert is_locked(path) and not try_lock(open_lock(path))
        holder.kill()
        holder.wait()
        assert not is_locked(path) and try_lock(open_lock(path))


def test_a_lock_file_is_for_this_user_alone(tmp_path: Path) -> None:
    os.close(open_lock(tmp_path / "a.lock"))
    assert (tmp_path / "a.lock").stat().st_mode & 0o777 == 0o600


def test_a_lock_is_waited_for_as_long_as_asked(tmp_path: Path) -> None:
    first, second = open_lock(tmp_path / "a.lock"), open_lock(tmp_path / "a.lock")
    assert try_lock(first)
    assert not try_lock(second, wait_s=0.1)
    os.close(first)
    assert try_lock(second, wait_s=0.1)
