"""Which Python the studio is installed with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.apart


def chosen(folder: Path, pythons: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run deploy/python.sh with only these Pythons, of these versions, on the path."""
    for name, version in pythons.items():
        said = f"import sys; sys.version_info = ({version.replace('.', ',')}, 0); exec(sys.argv[1])"
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{said}" "$2"\n', encoding="utf-8")
        program.chmod(0o755)
    for name in ("bash", "sh", "env"):
        (folder / name).symlink_to(f"/bin/{name}" if Path(f"/bin/{name}").exists() else f"/usr/bin/{name}")
    return subprocess.run(
        [ROOT / "deploy" / "python.sh"],
        env=os.environ | {"PATH": str(folder)}, capture_output=True, encoding="utf-8",
    )  # fmt: skip


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_the_machine_s_own(tmp_path: Path, version: str) -> None:
    assert chosen(tmp_path, {"python3": version, "python3.12": "3.12"}).stdout == "python3\n"


@pytest.mark.parametrize("version", ["3.10", "3.15"])
def test_another_where_its_own_is_too_old_or_too_new(tmp_path: Path, version: str) -> None:
    assert chosen(tmp_path, {"python3": version, "python3.14": "3.14", "python3.11": "3.11"}).stdout == "python3.11\n"


def test_none_is_a_sentence(tmp_path: Path) -> None:
    done = chosen(tmp_path, {"python3": "3.10"})
    assert done.returncode == 1
    assert "needs Python 3.11 to 3.14" in done.stderr
    assert len(done.stderr.splitlines()) == 1
