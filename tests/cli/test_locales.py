"""The studio in a Turkish locale that is not UTF-8, in one that is UTF-8, and without a locale.

The name of the home and the texts are not ASCII.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.files.media_material import decoded
from tests.support.files.sound_files import tone, wav

ROOT = Path(__file__).parents[2]
LOCALES = {"tr_TR.UTF-8": "UTF-8", "tr_TR.ISO-8859-9": "ISO-8859-9"}
NONE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
SECONDS = 1


@pytest.fixture(scope="module")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the compiled locales."""
    folder = tmp_path_factory.mktemp("locales")
    if shutil.which("localedef") is None or not Path("/usr/share/i18n/locales/tr_TR").exists():
        pytest.skip("no locale sources: apt install locales")
    for name, encoding in LOCALES.items():
        subprocess.run(["localedef", "-i", "tr_TR", "-f", encoding, folder / name], check=True)
    return folder


@pytest.fixture
def home(live_home: Path, tmp_path: Path) -> Path:
    """A home with the samples and a driver of one second, at a path with Turkish letters."""
    home = tmp_path / "ışıklı EV"
    shutil.copytree(live_home, home)
    (home / "SELAMLAMA ğüİ.wav").write_bytes(wav(tone(SECONDS, rate=16_000), 16_000))
    return home


def studio(home: Path, environment: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Run a `studio` command, check that it exits with 0, and return the completed process."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("STUDIO_", "REDIS_", "LC_", "LANG", "PYTHONUTF8"))}
    done = subprocess.run(
        [sys.executable, "-m", "cli.app", *arguments],
        cwd=ROOT, env=kept | environment | {"STUDIO_HOME": str(home)}, capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done


def test_a_channel(home: Path, run_root: Path, locales: Path) -> None:
    turkish = {"LOCPATH": str(locales), "LC_ALL": "tr_TR.ISO-8859-9", "STUDIO_RUN_ROOT": str(run_root)}
    recording = home / "kayıt.mp4"
    studio(home, turkish, "live", "--no-open", "--record", recording, "--port", "0", "--duration", "2")  # fmt: skip
    assert decoded(recording)[0]


@pytest.mark.parametrize("name", ["C", "tr_TR.UTF-8"])
def test_a_render(home: Path, locales: Path, name: str) -> None:
    environment = NONE if name == "C" else {"LOCPATH": str(locales), "LC_ALL": name}
    out = home / "çıktı.mp4"
    studio(home, environment, "render", "--driver", home / "SELAMLAMA ğüİ.wav", "--out", out)
    assert len(decoded(out)[0]) == SECONDS * 25


def test_a_job(home: Path, locales: Path) -> None:
    turkish = {"LOCPATH": str(locales), "LC_ALL": "tr_TR.ISO-8859-9"}
    out = home / "çıktı.mp4"
    driver = home / "SELAMLAMA ğüİ.wav"
    studio(home, turkish, "jobs", "submit", "--driver", driver, "--out", out, "--wait")
    assert len(decoded(out)[0]) == SECONDS * 25
    (shown,) = json.loads(studio(home, turkish, "jobs", "list", "--json").stdout)
    assert shown["state"] == "done"
