"""Downloads large files over HTTPS: resumed after interruptions, verified by size and hash, complete or absent."""

import errno
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import httpx2

from shared.errors import NoSpaceError, StudioError
from shared.runtime.file_lock import try_lock
from shared.runtime.files import flush_to_disk

ATTEMPTS = 5  # consecutive attempts without progress
FIRST_PAUSE_S = 1.0  # pause before the second attempt; doubles for each further one
HOPS = 5
LOOPBACK = ("127.0.0.1", "::1", "localhost")
TIMEOUT = httpx2.Timeout(30.0, connect=10.0)

ByteProgress = Callable[[int], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FileOffer:
    """A server's description of a file before the download; None or "" for what it does not state.

    size: bytes. sha256: sent by hubs with Git LFS for large files. tag: the hash or else the ETag. commit: the revision
    to which the URL currently refers.
    """

    url: str
    size: int | None
    sha256: str | None
    tag: str
    commit: str


class InterruptedDownload(Exception):
    """The connection broke or the server failed; another attempt may succeed."""


def client() -> httpx2.Client:
    """Return an HTTP client that refuses URLs without HTTPS, except on this machine."""
    return httpx2.Client(timeout=TIMEOUT, follow_redirects=True, event_hooks={"request": [_encrypted]})


def _encrypted(request: httpx2.Request) -> None:
    if request.url.scheme != "https" and request.url.host not in LOOPBACK:
        raise StudioError(f"{request.url.host} would send the file without encryption; name an address with https.")


def ask_for_offer(
    http: httpx2.Client, url: str, *, attempts: int = ATTEMPTS, pause: float = FIRST_PAUSE_S
) -> FileOffer:
    """Return the server's description of a file. Raises StudioError with one sentence if it is not available."""
    return _with_retries(lambda: _ask(http, url), url, attempts, pause)


def _ask(http: httpx2.Client, url: str) -> FileOffer:
    at, size, sha, commit = url, None, None, ""
    for _ in range(HOPS):
        answer = http.head(at, follow_redirects=False, headers={"Accept-Encoding": "identity"})
        head = answer.headers
        # A hub's own answer describes the file, before it redirects to the storage with the content.
        size = _number(head.get("X-Linked-Size")) if size is None else size
        sha = _sha256(head.get("X-Linked-ETag", "")) if sha is None else sha
        commit = commit or head.get("X-Repo-Commit", "")
        if not answer.is_redirect:
            _refuse(answer)
            size = _number(head.get("Content-Length")) if size is None else size
            return FileOffer(url, size, sha, sha or head.get("ETag", "").strip('W/"'), commit)
        if size is not None and sha is not None:
            return FileOffer(url, size, sha, sha, commit)
        at = urljoin(at, head["Location"])
    raise StudioError(f"{urlsplit(url).hostname} redirects in circles for {url}; try another mirror.")


def download_file(
    http: httpx2.Client,
    offer: FileOffer,
    to: Path,
    *,
    progress: ByteProgress = lambda done: None,
    check: Callable[[Path], str] = lambda part: "",
    attempts: int = ATTEMPTS,
    pause: float = FIRST_PAUSE_S,
) -> str:
    """Download the offered file to `to` and return its SHA-256; an existing file is replaced only at the end.

    progress: called with the number of bytes on the disk. check: returns the fault of the complete partial file before
    it is renamed, "" if it is intact. An interrupted download leaves a partial file `.NAME.….part`, which the next one
    continues if the server still offers the same file. Raises StudioError with one sentence, NoSpaceError if the disk
    is full.
    """
    part = to.with_name(f".{to.name}.{_short(offer.tag)}.part")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        for old in to.parent.glob(f".{to.name}.*.part"):
            if old != part or not offer.tag:
                old.unlink()
        with open(part, "a+b") as file:
            _lock(file, to)
            digest = _filled(http, offer, file, progress, attempts, pause)
            os.fsync(file.fileno())
            if reason := check(part):
                part.unlink()
                raise StudioError(f"What {urlsplit(offer.url).netloc} sent as {to.name} {reason}; try another mirror.")
            part.rename(to)
        flush_to_disk(to.parent)
    except OSError as error:
        raise _unwritable(to, error) from None
    return digest


def _filled(
    http: httpx2.Client, offer: FileOffer, file: BufferedIOBase, progress: ByteProgress, attempts: int, pause: float
) -> str:
    """Complete the partial file and return its hash; if a resumed one has a wrong hash, download it again once."""
    for again in (True, False):
        resumed = file.seek(0, os.SEEK_END) > 0
        _with_retries(
            lambda: _read_on(http, offer, file, progress),
            offer.url,
            attempts,
            pause,
            lambda: file.seek(0, os.SEEK_END),
        )
        digest = open_file_sha256(file)
        if offer.sha256 in (None, digest):
            return digest
        file.truncate(0)
        if not (again and resumed):
            break  # only bytes from an earlier run are worth a second download
    host = urlsplit(offer.url).hostname
    raise StudioError(
        f"{host} sent something other than {Path(urlsplit(offer.url).path).name} (SHA-256 {digest[:16]}… instead of "
        f"{str(offer.sha256)[:16]}…); nothing was kept: try again, or another mirror."
    )


def _read_on(http: httpx2.Client, offer: FileOffer, file: BufferedIOBase, progress: ByteProgress) -> None:
    """Request the bytes that are still missing. Raises InterruptedDownload."""
    has = file.seek(0, os.SEEK_END)
    if offer.size is not None and has >= offer.size:
        if has > offer.size:
            file.truncate(0)
            raise InterruptedDownload("the part is longer than the file")
        return
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={has}-"} if has else {})
    with http.stream("GET", offer.url, headers=headers) as answer:
        if answer.status_code == 416:
            file.truncate(0)
            raise InterruptedDownload("the part does not fit the file")
        _refuse(answer)
        if has and not (answer.status_code == 206 and _begins_at(answer, has)):
            has = 0  # a server that ignores Range sends the whole file again
            file.truncate(0)
        try:
            for block in answer.iter_raw():
                has += len(block)
                if offer.size is not None and has > offer.size:
                    file.truncate(0)
                    raise StudioError(
                        f"{answer.url.host} sends more than the {offer.size} bytes it announced; try another mirror."
                    )
                file.write(block)
                progress(has)
        except httpx2.TransportError:
            raise InterruptedDownload(f"the connection broke after {has} bytes") from None
        finally:
            file.flush()
    if offer.size is not None and has < offer.size:
        raise InterruptedDownload(f"it ended after {has} of {offer.size} bytes")


def _with_retries(
    request: Callable[[], T], url: str, attempts: int, pause: float, position: Callable[[], int] = lambda: 0
) -> T:
    """Call `request` until it succeeds or fails `attempts` times in a row without an increase of `position`."""
    failures, farthest = 0, position()
    while True:
        try:
            return request()
        except (InterruptedDownload, httpx2.TransportError) as error:
            failures = 1 if position() > farthest else failures + 1
            farthest = max(farthest, position())
            if failures >= attempts:
                raise _unreachable(url, error) from None
        time.sleep(min(pause * 2 ** (failures - 1), 30))


def _unreachable(url: str, error: Exception) -> StudioError:
    host = urlsplit(url).netloc
    if isinstance(error, InterruptedDownload):
        return StudioError(
            f"{host} did not finish sending {_name(url)}: {error}; the part received is kept, pull again to continue."
        )
    why = str(error) or type(error).__name__
    return StudioError(
        f"{host} cannot be reached ({why}); check the connection, or name a mirror with STUDIO_WEIGHTS_HUB or "
        "HF_ENDPOINT."
    )


def _refuse(answer: httpx2.Response) -> None:
    """Raise InterruptedDownload for an error status that may pass, StudioError for any other."""
    code, url = answer.status_code, str(answer.url)
    if answer.is_success:
        return
    if code == 429 or code >= 500:
        raise InterruptedDownload(f"it answers {code}")
    if code in (401, 403):
        raise StudioError(
            f"{answer.url.host} does not allow access to {_name(url)} ({code}); its owners may ask for a login."
        )
    if code in (404, 410):
        raise StudioError(f"{answer.url.host} no longer has {_name(url)} ({code}); its authors may have moved it.")
    raise StudioError(f"{answer.url.host} answers {code} for {_name(url)}; try again, or another mirror.")


def _name(url: str) -> str:
    return urlsplit(url).path.lstrip("/")


def _begins_at(answer: httpx2.Response, has: int) -> bool:
    return answer.headers.get("Content-Range", "").replace("=", " ").startswith(f"bytes {has}-")


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _sha256(tag: str) -> str | None:
    tag = tag.strip('W/"').lower()
    return tag if len(tag) == 64 and set(tag) <= set("0123456789abcdef") else None


def part_size(offer: FileOffer, to: Path) -> int:
    """Return the size of the partial file from which the next download will continue, 0 if there is none."""
    part = to.with_name(f".{to.name}.{_short(offer.tag)}.part")
    return part.stat().st_size if offer.tag and part.is_file() else 0


def _short(tag: str) -> str:
    return hashlib.sha256(tag.encode()).hexdigest()[:12] if tag else ""


def _lock(file: BufferedIOBase, to: Path) -> None:
    if not try_lock(file):
        raise StudioError(f"{to.name} is being fetched by another `pull`; wait for it.")


def _unwritable(to: Path, error: OSError) -> StudioError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpaceError(f"The disk of {to.parent} is full; free some space and pull again to continue.")
    return StudioError(f"{to} cannot be written ({error.strerror}); choose another folder with STUDIO_WEIGHTS.")


def open_file_sha256(file: BufferedIOBase) -> str:
    """Return the SHA-256 of an open file's whole content as hexadecimal text."""
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()
