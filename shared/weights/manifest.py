"""The weight files that an engine needs: their list, their location and their state, without loading them."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

from shared.config.settings import Settings, load_settings
from shared.errors import StudioError, short
from shared.runtime.files import write_atomically
from shared.weights.probe import damage

ROOT = Path(__file__).resolve().parents[2]
OFFICIAL = ROOT / "pretrained_weights"  # manifests of the studio's own engines and, in a checkout, the weight files
RECORD = "pulled.json"
NAMED = 3  # files named in one sentence

FileState = Literal["ok", "missing", "damaged"]


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One weight file of an engine, as listed in the manifest.

    path: below the weights folder, in the authors' layout. also: other paths at which the file is accepted. purpose:
    text for users.
    hub, file: repository on the hub and the file's name in it; hub is "" if the authors publish elsewhere.
    about: approximate size in bytes; size (bytes) and sha256 only if they are known for certain.
    restricted: whether the licence forbids some uses or is unclear, so that users must accept it before a download.
    optional: whether the engine also runs without the file.
    """

    path: str
    purpose: str
    licence: str
    restricted: bool
    hub: str = ""
    file: str = ""
    about: int = 0
    size: int | None = None
    sha256: str | None = None
    also: tuple[str, ...] = ()
    optional: bool = False

    def find(self, folder: Path) -> Path | None:
        """Return the path of the file in this folder, None if it is missing."""
        return next((folder / name for name in (self.path, *self.also) if (folder / name).is_file()), None)


@dataclass(frozen=True, slots=True)
class EngineWeights:
    """The weights of one engine.

    name, title: the engine's. terms: a sentence on the permitted uses of code, weights or service. by_hand: a sentence
    on files that `pull` cannot download, and where to get them. files: empty for an engine without weights.
    """

    name: str
    title: str
    terms: str
    by_hand: str
    files: tuple[WeightFile, ...]


@dataclass(frozen=True, slots=True)
class PulledFile:
    """Facts of a file when it was downloaded or first verified, for comparison with later states."""

    size: int
    sha256: str
    source: str  # URL of the download; "" for a file that was found on this machine
    commit: str  # the hub's revision; "" if unknown
    at: str  # ISO 8601, UTC

    @classmethod
    def from_row(cls, row: Any) -> Self:
        """A pulled file from a row of the record's JSON. Raises ValueError."""
        try:
            return cls(int(row["size"]), *(str(row[name]) for name in ("sha256", "source", "commit", "at")))
        except (TypeError, KeyError) as error:
            raise ValueError(str(error)) from None


@cache
def read_manifest(path: Path | None, name: str, title: str) -> EngineWeights:
    """Return the weights of the engine of this name and title, from its manifest; without files if `path` is None.

    pretrained_weights/README.md describes the keys. Raises StudioError if the manifest cannot be read or is wrong.
    """
    if path is None:
        return EngineWeights(name, title, "", "", ())
    try:
        about = tomllib.loads(path.read_text(encoding="utf-8"))
        files = tuple(_file(source, row) for source in about.get("sources", ()) for row in source["files"])
        return EngineWeights(name, title, str(about.get("terms", "")), str(about.get("by_hand", "")), files)
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        why = f"there is no {error}" if isinstance(error, KeyError) else short(error)
        raise StudioError(f"{title}'s list of weights, {path}, cannot be read ({why}); update its package.") from None


def _file(source: dict[str, Any], row: dict[str, Any]) -> WeightFile:
    names = (str(row["path"]), *(str(name) for name in row.get("also", ())))
    if wrong := next((name for name in names if Path(name).is_absolute() or ".." in Path(name).parts), ""):
        raise ValueError(f"path {wrong} is not below the weights folder")
    return WeightFile(
        path=names[0],
        purpose=str(row["purpose"]),
        licence=str(source["licence"]),
        restricted=bool(source["restricted"]),
        hub=str(source.get("hub", "")),
        file=str(row.get("file", row["path"])),
        about=int(row.get("about_mb", 0) * 1e6),
        size=row.get("size"),
        sha256=row.get("sha256"),
        also=names[1:],
        optional=bool(row.get("optional", False)),
    )


def weights_folder(settings: Settings | None = None) -> Path:
    """Return the folder of weights, which may not exist: the setting `weights`, else the checkout's or the home's."""
    settings = settings or load_settings()
    if settings.weights is not None:
        return settings.weights
    return OFFICIAL if (ROOT / "pyproject.toml").is_file() else settings.home / OFFICIAL.name


def read_record(folder: Path) -> dict[str, PulledFile]:
    """Return the record of earlier pulls, by the file's path; empty if there is none.

    Raises StudioError for a damaged record: ignoring it would mean to trust any file that is there.
    """
    try:
        rows = json.loads((folder / RECORD).read_bytes())
        return {str(path): PulledFile.from_row(row) for path, row in rows.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise StudioError(
            f"{folder / RECORD} cannot be read ({error}); restore it, or delete it to trust the files there."
        ) from None


def write_record(folder: Path, record: Mapping[str, PulledFile]) -> None:
    """Replace the record. Raises OSError."""
    text = json.dumps({path: asdict(row) for path, row in sorted(record.items())}, indent=1)
    write_atomically(folder / RECORD, text.encode() + b"\n", 0o644)


def known_size(file: WeightFile, record: Mapping[str, PulledFile]) -> int | None:
    """Return the size in bytes that a file must have, None if unknown."""
    return file.size if file.size is not None else record[file.path].size if file.path in record else None


def inspect_file(file: WeightFile, folder: Path, record: Mapping[str, PulledFile]) -> tuple[FileState, str]:
    """Return the state of a file by its size and its first and last bytes, and the second half of a sentence on it."""
    path = file.find(folder)
    if path is None:
        return "missing", "is missing"
    try:
        if reason := damage(path):
            return "damaged", reason
        has, wants = path.stat().st_size, known_size(file, record)
    except OSError as error:
        return "damaged", f"cannot be read ({error.strerror})"
    if path == folder / file.path and wants is not None and has != wants:
        return (
            "damaged",
            f"is truncated: {has} of {wants} bytes" if has < wants else f"has {has} bytes instead of {wants}",
        )
    return "ok", ""


def missing_weights_error(weights: EngineWeights, folder: Path | None = None) -> str:
    """Return a sentence that names missing or damaged files and the command to download them, or ""."""
    needed = [file for file in weights.files if not file.optional]
    if not needed:
        return ""
    folder = folder or weights_folder()
    try:
        record = read_record(folder)
    except StudioError as error:
        return str(error)
    wrong = [(file, said) for file in needed for state, said in [inspect_file(file, folder, record)] if state != "ok"]
    if not wrong:
        return ""
    fetched = any(file.hub for file, _ in wrong)
    way = f"`{pull_command(weights)}` downloads them" if fetched else weights.by_hand.rstrip(".")
    if len(wrong) == len(needed) and all(said == "is missing" for _, said in wrong):
        return f"{weights.title}'s weights are not in {folder}; {way}."
    told = [f"{file.path} {said}" for file, said in wrong[:NAMED]]
    more = f" (and {len(wrong) - NAMED} more)" if len(wrong) > NAMED else ""
    return f"{weights.title}'s weights in {folder} are incomplete or damaged: {', '.join(told)}{more}; {way}."


def missing_files(weights: EngineWeights, folder: Path) -> list[WeightFile]:
    """Return the engine's files that are missing or damaged in this folder, including optional ones.

    Raises StudioError for a record that cannot be read.
    """
    record = read_record(folder)
    return [file for file in weights.files if inspect_file(file, folder, record)[0] != "ok"]


def pull_command(weights: EngineWeights) -> str:
    """Return the command that downloads these files, "" if none of them can be downloaded."""
    return f"studio weights pull {weights.name}" if any(file.hub for file in weights.files) else ""


def weight_files(weights: EngineWeights, folder: Path | None = None) -> dict[str, Path]:
    """Return the paths of the engine's files on disk, by the manifest's path; optional ones only if present.

    Raises StudioError with the sentence of `missing_weights_error`.
    """
    folder = folder or weights_folder()
    if reason := missing_weights_error(weights, folder):
        raise StudioError(reason)
    found = {file.path: file.find(folder) for file in weights.files}
    return {path: where for path, where in found.items() if where is not None}
