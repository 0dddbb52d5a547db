"""Permissions of files: the command's own files are private to its user; files that a user names follow the umask."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.apart
PROGRAM = """
import os, sys
from pathlib import Path
from shared.runtime.private_files import as_open_as_umask, keep_files_private, share

folder = Path(sys.argv[1])
keep_files_private()
(folder / "own").touch()
(folder / "named").touch()
share(folder / "named")
share(folder / "gone")
with as_open_as_umask():
    (folder / "model").touch()
(folder / "later").touch()
if "again" not in sys.argv:
    (folder / "child").mkdir()
    os.execv(sys.executable, [sys.executable, "-c", os.environ["PROGRAM"], str(folder / "child"), "again"])
"""


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o027, 0o077])
def test_own_files_are_private_and_named_ones_follow_the_umask(tmp_path: Path, umask: int) -> None:
    variables = {k: v for k, v in os.environ.items() if k != "PERSONA_STUDIO_UMASK"} | {"PROGRAM": PROGRAM}
    subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], env=variables, umask=umask, check=True)
    for folder in (tmp_path, tmp_path / "child"):  # a child process knows the umask too
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir() if path.is_file()}
        open_mode = 0o666 & ~umask
        assert modes == {"own": 0o600, "later": 0o600, "named": open_mode, "model": open_mode}
    assert stat.S_IMODE((tmp_path / "child").stat().st_mode) == 0o700
