"""Lists the weights on this machine, downloads missing ones and verifies their hashes."""

import datetime
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import httpx2

from shared.errors import NoSpaceError, StudioError
from shared.weights import download
from shared.weights.manifest import (
    EngineWeights,
    PulledFile,
    WeightFile,
    inspect_file,
    known_size,
    read_record,
    write_record,
)
from shared.weights.probe import damage

SPARE_BYTES = 256 << 20  # space to leave free on the disk
REVISION = "main"

Verdict = Literal["ok", "missing", "damaged", "changed", "recorded", "unknown"]
Consent = Callable[[Sequence[str]], bool]
FileProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A downloaded file. first_seen: whether no hash was known before; the file's hash is then trusted from now on."""

    path: str
    size: int
    sha256: str
    first_seen: bool


def weights_listing(engines: Iterable[EngineWeights], folder: Path, hub: str) -> list[dict[str, Any]]:
    """Return each of these engines with its files and their states, as plain values."""
    record = read_record(folder)
    rows = []
    for engine in engines:
        files = [_row(file, folder, hub, record) for file in engine.files]
        rows.append(
            {
                "engine": engine.name,
                "title": engine.title,
                "terms": engine.terms,
                "by_hand": engine.by_hand,
                "folder": str(folder),
                "complete": all(row["state"] == "ok" for row in files if not row["optional"]),
                "files": files,
            }
        )
    return rows


def _row(file: WeightFile, folder: Path, hub: str, record: dict[str, PulledFile]) -> dict[str, Any]:
    state, detail = inspect_file(file, folder, record)
    pulled = record.get(file.path)
    where = file.find(folder)
    return {
        "path": file.path,
        "state": state,
        "detail": detail,
        "file": str(where) if where else None,
        "size": where.stat().st_size if where else known_size(file, record),
        "about": file.about or None,
        "sha256": file.sha256 or (pulled.sha256 if pulled else None),
        "purpose": file.purpose,
        "licence": file.licence,
        "restricted": file.restricted,
        "optional": file.optional,
        "source": address(hub, file) if file.hub else None,
    }


def address(hub: str, file: WeightFile) -> str:
    """Return the URL from which a file is downloaded."""
    return f"{hub.rstrip('/')}/{file.hub}/resolve/{REVISION}/{quote(file.file)}"


def pull_engine(
    engine: EngineWeights,
    folder: Path,
    hub: str,
    consent: Consent,
    *,
    everything: bool = False,
    progress: FileProgress = lambda path, done, total: None,
    pause: float = download.FIRST_PAUSE_S,
) -> list[FetchedFile]:
    """Download the engine's files that are missing or damaged; intact files are not touched.

    consent: receives the restricted licences and returns whether they are accepted. everything: include optional files.
    progress: called with path, bytes done and bytes expected. Raises StudioError with one sentence; files that were
    completed before the error are kept.
    """
    record = read_record(folder)
    wanted = [file for file in engine.files if everything or not file.optional]
    wanted = [file for file in wanted if inspect_file(file, folder, record)[0] != "ok"]
    if not wanted:
        return []
    if not all(file.hub for file in wanted):
        raise StudioError(f"{engine.title}'s weights cannot be fetched: {engine.by_hand} Put them into {folder}.")
    _checked(hub)
    if (terms := licences(wanted, restricted=True)) and not consent(terms):
        raise StudioError(f"{engine.title}'s weights were not fetched: their licence was not accepted.")
    with download.client() as http:
        offers = [(file, _offer(http, hub, file, record, pause)) for file in wanted]
        _room(folder, [(file, offer) for file, offer in offers])
        return [_fetch(http, file, offer, folder, record, progress, pause) for file, offer in offers]


def licences(files: Sequence[WeightFile], *, restricted: bool = False) -> list[str]:
    """Return one line per repository with its name and licence. restricted: only restricted licences."""
    rows = {f"{file.hub or 'by hand'}: {file.licence}": file.restricted for file in files}
    return [line for line, bars in rows.items() if bars or not restricted]


def _checked(hub: str) -> None:
    parts = urlsplit(hub)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in download.LOOPBACK):
        raise StudioError(f"The hub '{hub[:200]}' is not an https address; correct STUDIO_WEIGHTS_HUB or HF_ENDPOINT.")


def _offer(
    http: httpx2.Client, hub: str, file: WeightFile, record: dict[str, PulledFile], pause: float
) -> download.FileOffer:
    """The hub's offer for a file. Raises StudioError if size or hash differ from the known ones."""
    offer = download.ask_for_offer(http, address(hub, file), attempts=3, pause=pause)
    known = record.get(file.path)
    size, sha = known_size(file, record), file.sha256 or (known.sha256 if known else None)
    other_size = None not in (size, offer.size) and size != offer.size
    other_sha = None not in (sha, offer.sha256) and sha != offer.sha256
    if other_size or other_sha:
        if (other_sha and file.sha256) or (other_size and file.size is not None):
            differs = "the one in the manifest; update the studio, or get that version and use `studio weights add`."
        else:
            differs = (
                "the one pulled first; check the authors' announcements, then delete its entry in pulled.json to trust "
                "the new file."
            )
        raise StudioError(f"{urlsplit(hub).netloc} offers a {file.file} that differs from {differs}")
    sha = sha or offer.sha256
    return replace(offer, size=size if offer.size is None else offer.size, sha256=sha, tag=sha or offer.tag)


def _room(folder: Path, offers: Sequence[tuple[WeightFile, download.FileOffer]]) -> None:
    existing = next(place for place in (folder, *folder.parents) if place.is_dir())
    needs = sum((o.size or f.about) - min(download.part_size(o, folder / f.path), o.size or 0) for f, o in offers)
    free = shutil.disk_usage(existing).free
    if needs + SPARE_BYTES > free:
        raise NoSpaceError(
            f"The download into {folder} needs {needs / 1e9:.1f} GB, but its disk has {free / 1e9:.1f} GB free; free "
            "some space, or choose another folder with STUDIO_WEIGHTS."
        )


def _fetch(
    http: httpx2.Client,
    file: WeightFile,
    offer: download.FileOffer,
    folder: Path,
    record: dict[str, PulledFile],
    progress: FileProgress,
    pause: float,
) -> FetchedFile:
    to, total = folder / file.path, offer.size or file.about
    digest = download.download_file(
        http,
        offer,
        to,
        progress=lambda done: progress(file.path, done, total),
        check=lambda part: damage(part, to.suffix),
        pause=pause,
    )
    size = to.stat().st_size
    first = file.sha256 is None and file.path not in record
    record[file.path] = PulledFile(size, digest, offer.url, offer.commit, _today())
    write_record(folder, record)
    return FetchedFile(file.path, size, digest, first)


def verify_files(
    engines: Iterable[EngineWeights], folder: Path, progress: FileProgress = lambda path, done, total: None
) -> list[dict[str, Any]]:
    """Compare the hash of each of these engines' files on this machine with the known hash; return a row for each file.

    The hash of a file without a known one is written into the record ("recorded"), so that a later change is detected;
    if the folder cannot be written, the file stays "unknown".
    """
    record, rows, new = read_record(folder), [], False
    for engine in engines:
        for file in engine.files:
            verdict, detail, digest = _verdict(file, folder, record, progress)
            if verdict == "unknown":
                size = (folder / file.path).stat().st_size
                record[file.path] = PulledFile(size, digest, "", "", _today())
                new = True
            row = {"engine": engine.name, "path": file.path, "optional": file.optional}
            rows.append({**row, "state": verdict, "detail": detail, "sha256": digest or None})
    if new:
        try:
            write_record(folder, record)
        except OSError:
            return rows
        for row in rows:
            if row["state"] == "unknown":
                row |= {"state": "recorded", "detail": "no hash was known; this one is trusted from now on"}
    return rows


def _verdict(
    file: WeightFile, folder: Path, record: dict[str, PulledFile], progress: FileProgress
) -> tuple[Verdict, str, str]:
    state, detail = inspect_file(file, folder, record)
    where = file.find(folder)
    if state != "ok" or where is None:
        return state, detail, ""
    try:
        with where.open("rb") as opened:
            progress(file.path, 0, where.stat().st_size)
            digest = download.open_file_sha256(opened)
    except OSError as error:
        return "damaged", f"cannot be read ({error.strerror})", ""
    progress(file.path, where.stat().st_size, where.stat().st_size)
    if where != folder / file.path:
        return "ok", f"is stored as {where.relative_to(folder)}, for which no hash is known", digest
    known = file.sha256 or (record[file.path].sha256 if file.path in record else "")
    if not known:
        return "unknown", "no hash is known to compare it with", digest
    if digest != known:
        return "changed", f"differs from the known file (SHA-256 {digest[:16]}… instead of {known[:16]}…)", digest
    return "ok", "", digest


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def failed(rows: Sequence[dict[str, Any]], engine: EngineWeights | None) -> bool:
    """Whether `verify_files` found files that must be pulled again.

    Damaged or changed files always count, missing ones only if a single engine was verified and they are not optional.
    """
    bad = {"damaged", "changed"} | ({"missing"} if engine else set())
    return any(row["state"] in bad and not (row["state"] == "missing" and row["optional"]) for row in rows)
