"""Types of the packages, checked against the published frameworks, which `make check` does not have."""

import subprocess
from pathlib import Path

import pytest

from tests.support.running.bot import INTEGRATIONS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "package"),
    [
        ("livekit-plugins-personastudio", "livekit.plugins.personastudio"),
        ("pipecat-personastudio", "pipecat_personastudio"),
    ],
)
def test_types_are_sound(other_python: Path, folder: str, package: str, tmp_path: Path) -> None:
    settings = ["--strict", "--explicit-package-bases", "--cache-dir", str(tmp_path)]
    for what in (["-p", package], ["examples/speaking_host.py"]):
        command = [str(other_python), "-m", "mypy", *settings, *what]
        done = subprocess.run(command, cwd=INTEGRATIONS / folder, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stdout + done.stderr
