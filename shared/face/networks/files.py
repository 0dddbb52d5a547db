"""Reads the networks' files and verifies them against the hashes of their installation; downloads nothing."""

import hashlib
import json
import sys
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from shared.errors import StudioError
from shared.runtime.files import write_atomically

NetworkName = Literal["short_range", "full_range", "trunk", "lips", "right_eye", "left_eye", "person"]
NAMES: tuple[NetworkName, ...] = get_args(NetworkName)

FOLDER = Path(sys.prefix) / "share" / "persona-studio" / "face"  # belongs to the Python environment of the studio
RECORD = "networks.json"
VERSION = 1  # of the files' content; files of another version are installed again
COMMAND = "studio setup"


def networks_fault(folder: Path = FOLDER) -> str:
    """Return a sentence with the fault of the files in `folder` and the command that helps; "" if they are intact."""
    try:
        for name in NAMES:
            read_network(name, folder)
    except StudioError as error:
        return str(error)
    return ""


def read_network(name: NetworkName, folder: Path = FOLDER) -> bytes:
    """Return a network's file after checking it against the hash from its installation. Raises StudioError."""
    try:
        record = json.loads((folder / RECORD).read_bytes())
        if record["version"] != VERSION:
            raise StudioError(
                f"The face models in {folder} belong to another version; `{COMMAND}` installs the right ones."
            )
        wanted = record["sha256"][name]
        content = (folder / f"{name}.tflite").read_bytes()
    except FileNotFoundError:
        raise StudioError(f"The face models are not in {folder}; `{COMMAND}` installs them.") from None
    except OSError as error:
        raise StudioError(f"The face models in {folder} cannot be read ({error.strerror}); make it readable.") from None
    except (ValueError, KeyError, TypeError):
        raise StudioError(f"{folder / RECORD} is damaged; `{COMMAND}` installs the face models again.") from None
    if hashlib.sha256(content).hexdigest() != wanted:
        raise StudioError(f"{folder / f'{name}.tflite'} is damaged; `{COMMAND}` installs the face models again.")
    return content


@cache
def installed_network(name: NetworkName) -> bytes:
    """Return a network's file, which is read once per process. Raises StudioError."""
    return read_network(name)


def write_networks(contents: dict[NetworkName, bytes], folder: Path = FOLDER) -> None:
    """Write all files to `folder`, created if missing, and last the record that makes them valid. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_atomically(folder / f"{name}.tflite", content, 0o644)
    record = {
        "version": VERSION,
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
    }
    write_atomically(folder / RECORD, json.dumps(record, indent=1).encode() + b"\n", 0o644)
