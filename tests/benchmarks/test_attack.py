"""A hundredth of `python -m benchmarks.attack`: the attacks that no other test makes on running processes.

`tests/system/test_hostile.py` covers messages; `tests/system/test_faults.py` and `tests/farm` cover kills.
"""

import shutil
from pathlib import Path

import pytest

from benchmarks.attack.__main__ import attack, printed

pytestmark = pytest.mark.apart
SHARE = 0.01
PARTS = ("images", "web", "store", "files", "texts")


def test_nothing_is_lost_and_nothing_dies(live_home: Path, run_root: Path) -> None:
    home = shutil.copytree(live_home, run_root.parent / "home")
    rows = list(attack(home, run_root.parent, SHARE, PARTS))
    assert all(row.tried for row in rows)
    assert not [(printed(row), row.notes) for row in rows if not row.held]
