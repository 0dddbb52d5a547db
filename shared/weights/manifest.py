"""Which weight files each engine needs, where they lie, and what is wrong with them: known without loading anything."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

from shared.config.settings import Settings, load_settings
from shared.errors import StudioError
from shared.runtime.files import write_atomically
from shared.weights.probe import damage

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = ROOT / "pretrained_weights" / "manifest.toml"
RECORD = "pulled.json"
NAMED = 3  # files named in one sentence

FileState = Literal["ok", "missing", "damaged"]


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file of an engine, as the manifest has it.

    path: below the weights folder, in the authors' own layout. also: other names under which it is accepted.
    hub, file: repository on the hub and name in it; no hub where the authors publish elsewhere.
    about: bytes, roughly; size (bytes) and sha256 only where they are known for certain.
    restricted: the licence bars some uses or is unclear, and is accepted before the file is fetched.
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
        """Where it lies, if it does."""
        return next((folder / name for name in (self.path, *self.also) if (folder / name).is_file()), None)


@dataclass(frozen=True, slots=True)
class EngineWeights:
    """What one engine needs. terms: one sentence on licences; by_hand: what `pull` cannot fetch, and where it is."""

    name: str
    title: str
    terms: str
    by_hand: str
    files: tuple[WeightFile, ...]


@dataclass(frozen=True, slots=True)
class PulledFile:
    """What was true of a file when it was first fetched or first verified: later ones are held against it."""

    size: int
    sha256: str
    source: str  # address it came from; "" for a file that was found and not fetched
    commit: str  # the hub's revision; "" where it names none
    at: str  # ISO 8601, UTC

    @classmethod
    def from_row(cls, row: Any) -> Self:
        """From the record's JSON. Raises ValueError."""
        try:
            return cls(int(row["size"]), *(str(row[name]) for name in ("sha256", "source", "commit", "at")))
        except (TypeError, KeyError) as error:
            raise ValueError(str(error)) from None


@cache
def manifest() -> Mapping[str, EngineWeights]:
    """Every engine with weights of its own, and mesh, by name."""
    return {name: _engine(name, about) for name, about in tomllib.loads(MANIFEST.read_text())["engines"].items()}


def _engine(name: str, about: dict[str, Any]) -> EngineWeights:
    files = tuple(
        WeightFile(
            path=row["path"],
            purpose=row["purpose"],
            licence=source["licence"],
            restricted=source["restricted"],
            hub=source.get("hub", ""),
            file=row.get("file", row["path"]),
            about=int(row.get("about_mb", 0) * 1e6),
            size=row.get("size"),
            sha256=row.get("sha256"),
            also=tuple(row.get("also", ())),
            optional=row.get("optional", False),
        )
        for source in about.get("sources", ())
        for row in source["files"]
    )
    return EngineWeights(name, about["title"], about.get("terms", ""), about.get("by_hand", ""), files)


def engine_weights(name: str) -> EngineWeights:
    """The manifest's entry of an engine. Raises StudioError when it has none."""
    if name not in manifest():
        raise StudioError(f"No weights are known for '{name[:60]}'; there are {', '.join(manifest())}.")
    return manifest()[name]


def terms(name: str) -> str:
    """One sentence on what an engine's weights may be used for; "" where there are none."""
    return manifest()[name].terms if name in manifest() else ""


def weights_folder(settings: Settings | None = None) -> Path:
    """The setting `weights`; else the checkout's own folder; else one in the studio's home. It need not exist."""
    settings = settings or load_settings()
    if settings.weights is not None:
        return settings.weights
    return ROOT / "pretrained_weights" if (ROOT / "pyproject.toml").is_file() else settings.home / "pretrained_weights"


def read_record(folder: Path) -> dict[str, PulledFile]:
    """What earlier pulls wrote down, by the file's path. A damaged record is an error, or trust would begin anew."""
    try:
        rows = json.loads((folder / RECORD).read_bytes())
        return {str(path): PulledFile.from_row(row) for path, row in rows.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise StudioError(
            f"{folder / RECORD} cannot be read ({error}); restore it, or delete it to trust what is there."
        ) from None


def write_record(folder: Path, record: Mapping[str, PulledFile]) -> None:
    """Replace the record. Raises OSError."""
    text = json.dumps({path: asdict(row) for path, row in sorted(record.items())}, indent=1)
    write_atomically(folder / RECORD, text.encode() + b"\n", 0o644)


def known_size(file: WeightFile, record: Mapping[str, PulledFile]) -> int | None:
    """Bytes it must have, where that is known."""
    return file.size if file.size is not None else record[file.path].size if file.path in record else None


def inspect_file(file: WeightFile, folder: Path, record: Mapping[str, PulledFile]) -> tuple[FileState, str]:
    """State of a file from its size and its first and last bytes, and the second half of a sentence about it."""
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


def missing_weights_error(name: str, folder: Path | None = None) -> str:
    """One sentence naming what is missing or damaged of an engine's files and the command that gets it, or ""."""
    engine, folder = engine_weights(name), folder or weights_folder()
    try:
        record = read_record(folder)
    except StudioError as error:
        return str(error)
    needed = [file for file in engine.files if not file.optional]
    wrong = [(file, said) for file in needed for state, said in [inspect_file(file, folder, record)] if state != "ok"]
    if not wrong:
        return ""
    way = f"`studio weights pull {name}` gets them" if any(f.hub for f, _ in wrong) else engine.by_hand.rstrip(".")
    if len(wrong) == len(needed) and all(said == "is missing" for _, said in wrong):
        return f"{engine.title}'s weights are not in {folder}; {way}."
    told = [f"{file.path} {said}" for file, said in wrong[:NAMED]]
    more = f" (and {len(wrong) - NAMED} more)" if len(wrong) > NAMED else ""
    return f"{engine.title}'s weights in {folder} are not whole: {', '.join(told)}{more}; {way}."


def weight_files(name: str, folder: Path | None = None) -> dict[str, Path]:
    """An engine's files where they lie, by the manifest's path; optional ones only where present. Raises StudioError
    with the sentence of `missing_weights_error`."""
    folder = folder or weights_folder()
    if reason := missing_weights_error(name, folder):
        raise StudioError(reason)
    found = {file.path: file.find(folder) for file in engine_weights(name).files}
    return {path: where for path, where in found.items() if where is not None}
