"""Adds weights that were downloaded by hand, from files, folders and archives, by recognising each file's content."""

import datetime
import hashlib
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from shared.errors import StudioError, short
from shared.runtime.files import file_sha256
from shared.weights.manifest import EngineWeights, PulledFile, read_record, write_record
from shared.weights.probe import damage

MAX_MEMBER_BYTES = 4 << 30  # size of a file in an archive
BLOCK_BYTES = 1 << 20

Recognise = Callable[[Path], str]
Opener = Callable[[], IO[bytes]]


@dataclass(frozen=True, slots=True)
class AddedFile:
    """A file that was added to the weights folder.

    path: its path in the manifest. source: the file or archive that it was copied from. size: in bytes.
    """

    path: str
    source: str
    size: int
    sha256: str


@dataclass(slots=True)
class AddedFiles:
    """Result of adding files.

    added: files that were recognised and copied to the weights folder. refused: a sentence about each source that was
    not.
    """

    added: list[AddedFile] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def add_files(weights: EngineWeights, folder: Path, sources: Sequence[Path], recognise: Recognise) -> AddedFiles:
    """Copy an engine's files to the weights folder, each completely or not at all.

    sources: files, folders and archives (zip, tar); from folders and archives, the files are copied whose name and
    checksum are in the manifest. recognise: returns the manifest's path for a file without a known checksum, "" if the
    file is none of the engine's; may raise StudioError. A source that fails is listed in `refused` of the result.
    Raises StudioError if the record of earlier pulls cannot be read, OSError if it cannot be written.
    """
    found = AddedFiles()
    known = {file.sha256: file.path for file in weights.files if file.sha256}
    for source in sources:
        try:
            if source.is_dir() or _archive(source):
                _take_members(weights, folder, source, known, found)
            else:
                _take_file(weights, folder, source, known, recognise, found)
        except StudioError as error:
            found.refused.append(str(error))
        except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
            found.refused.append(f"{source} cannot be read ({short(error)}); download it again.")
    _note(folder, found.added)
    return found


def _take_file(
    weights: EngineWeights, folder: Path, source: Path, known: dict[str, str], recognise: Recognise, found: AddedFiles
) -> None:
    path = known.get(file_sha256(source), "")
    if not path and (reason := damage(source)):
        raise StudioError(f"{source} {reason}; download it again.")
    if not (path := path or recognise(source)):
        raise StudioError(f"{source} is not one of {weights.title}'s files; `studio weights list` shows them.")
    found.added.append(_copied(folder, path, str(source), lambda: source.open("rb")))


def _take_members(weights: EngineWeights, folder: Path, source: Path, known: dict[str, str], found: AddedFiles) -> None:
    names = {Path(name).name for file in weights.files if file.sha256 for name in (file.path, file.file)}
    taken = 0
    for member, opened in _members(source):
        if Path(member).name not in names:
            continue
        with opened() as file:
            digest = _sha256(file)
        if digest in known and all(each.path != known[digest] for each in found.added):
            found.added.append(_copied(folder, known[digest], f"{source}: {member}", opened))
            taken += 1
    if not taken:
        raise StudioError(
            f"{source} contains none of {weights.title}'s files with a known checksum; use the version that the "
            "manifest names."
        )


def _members(source: Path) -> Iterator[tuple[str, Opener]]:
    """Yield name and opener of each file in a folder or an archive; hidden folders are skipped."""
    if source.is_dir():
        for where, folders, names in os.walk(source):
            folders[:] = sorted(each for each in folders if not each.startswith("."))
            for path in (Path(where) / name for name in sorted(names)):
                if path.is_file() and not path.is_symlink():
                    yield str(path.relative_to(source)), lambda path=path: path.open("rb")  # type: ignore[misc]
    elif _archive(source) == "zip":
        with zipfile.ZipFile(source) as archive:
            for entry in archive.infolist():
                if not entry.is_dir() and entry.file_size <= MAX_MEMBER_BYTES:
                    yield entry.filename, lambda entry=entry: archive.open(entry)  # type: ignore[misc]
    else:
        with tarfile.open(source) as tape:
            for each in tape:
                if each.isfile() and each.size <= MAX_MEMBER_BYTES:
                    yield each.name, lambda each=each: tape.extractfile(each)  # type: ignore[misc]


def _sha256(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := file.read(BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()


def _archive(source: Path) -> str:
    """The type of archive: "zip", "tar", or "" for anything else, including the ZIP format of torch.save."""
    if not source.is_file():
        return ""
    if zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            return "" if any(name.endswith("/data.pkl") for name in archive.namelist()) else "zip"
    return "tar" if tarfile.is_tarfile(source) else ""


def _copied(folder: Path, path: str, source: str, opened: Opener) -> AddedFile:
    to = folder / path
    part = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with opened() as file, part.open("wb") as out:
            shutil.copyfileobj(file, out)
        part.replace(to)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StudioError(
            f"{to} cannot be written ({short(error)}); choose another folder with STUDIO_WEIGHTS."
        ) from None
    return AddedFile(path, source, to.stat().st_size, file_sha256(to))


def _note(folder: Path, added: Sequence[AddedFile]) -> None:
    if not added:
        return
    record, now = read_record(folder), datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    record |= {each.path: PulledFile(each.size, each.sha256, "", "", now) for each in added}
    write_record(folder, record)
