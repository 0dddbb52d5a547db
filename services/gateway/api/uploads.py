"""Multipart uploads straight to disk, bounded while they arrive: nothing is taken in beyond its limit."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import HTTPException, Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

INCOMING = ".incoming-"  # and the number of the process that takes it in
MAX_FIELD_BYTES = 4 << 10
MAX_NAME_BYTES = 120  # of a file's name
MAX_HEADS_BYTES = 64 << 10  # what boundaries and part headers may add to the parts' own limits
BATCH_BYTES = 1 << 20  # bytes that go to the disk at once, in a thread: the event loop has a program to show
FILE_FIELD, TEXT_FIELD = {"type": "string", "format": "binary"}, {"type": "string"}  # as OpenAPI has them


def form_schema(required: list[str], **properties: dict[str, str]) -> dict[str, Any]:
    """OpenAPI's description of a form that is read by `received_form`, not by FastAPI."""
    schema = {"type": "object", "required": required, "properties": properties}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


@dataclass(slots=True)
class UploadForm:
    """An uploaded form: text fields, and files.

    names: as their senders gave them; the files are called so as far as a file can be, each in a folder of its own, so
    that a sentence about one calls it as its owner does.
    """

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Reader:
    """Callbacks of the multipart parser: one part after the other into its field or file."""

    folder: Path
    limits: dict[str, int]
    form: UploadForm = field(default_factory=UploadForm)
    done: bool = False
    _header: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _disposition: bytes = b""
    _name: str = ""
    _text: bytearray = field(default_factory=bytearray)
    _file: BinaryIO | None = None
    _size: int = 0

    def on_part_begin(self) -> None:
        self._disposition, self._size = b"", 0
        self._text.clear()

    def on_header_begin(self) -> None:
        self._header.clear()
        self._value.clear()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if self._name not in self.limits or self._name in self.form.fields or self._name in self.form.files:
            raise HTTPException(422, f"The form has an unexpected field '{self._name[:40]}'.")
        if self.limits[self._name] > MAX_FIELD_BYTES:
            given = Path(options.get(b"filename", b"").decode("utf-8", "replace")).name[:80]
            path = self.folder / self._name / file_name(given, self._name)
            path.parent.mkdir()
            self.form.files[self._name] = path
            self.form.names[self._name] = given
            self._file = path.open("wb")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        limit = self.limits[self._name]
        if self._size > limit:
            raise _too_large(f"'{self._name}'", limit)
        if self._file:
            self._file.write(data[start:end])
        else:
            self._text += data[start:end]

    def on_part_end(self) -> None:
        if self._file:
            self.close()
        else:
            self.form.fields[self._name] = self._text.decode("utf-8", "replace")

    def on_end(self) -> None:
        self.done = True

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None


def file_name(given: str, otherwise: str) -> str:
    """A name that a file can have everywhere, as near to the given one as can be: it was chosen by a stranger.

    otherwise: where nothing of it is left.
    """
    plain = "".join(char if char.isprintable() and char not in '/\\:*?"<>|' else "_" for char in given).lstrip(".-")
    stem, suffix = Path(plain).stem, Path(plain).suffix[:16]
    room = MAX_NAME_BYTES - len(suffix.encode())
    return (stem.encode()[:room].decode("utf-8", "ignore") or otherwise) + suffix


@asynccontextmanager
async def received_form(request: Request, home: Path, limits: dict[str, int]) -> AsyncIterator[UploadForm]:
    """The form of this request, its files in a folder that is gone afterwards.

    limits: the fields there may be and the most bytes of each; above 4 KB it is a file. Raises HTTPException with
    411 to 422 in one sentence.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= 200:
        raise HTTPException(415, "Send a form as multipart/form-data.")
    most = sum(limits.values()) + MAX_HEADS_BYTES
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared) > most:
        raise _too_large("The upload", most)
    folder = _incoming(home)
    reader = _Reader(folder, limits)
    try:
        await _read(request, boundary, reader, most)
        yield reader.form
    except OSError as error:
        raise HTTPException(
            507, f"The upload cannot be stored ({error.strerror}); free some space and try again."
        ) from None
    finally:
        reader.close()
        shutil.rmtree(folder, ignore_errors=True)


async def _read(request: Request, boundary: bytes, reader: _Reader, most: int) -> None:
    names = [name for name in dir(reader) if name.startswith("on_")]
    parser = MultipartParser(boundary, {name: getattr(reader, name) for name in names})  # type: ignore[arg-type]
    taken, batch = 0, bytearray()
    try:
        async for chunk in request.stream():
            taken += len(chunk)
            if taken > most:
                raise _too_large("The upload", most)
            batch += chunk
            if len(batch) >= BATCH_BYTES:
                await asyncio.to_thread(parser.write, bytes(batch))
                batch.clear()
        await asyncio.to_thread(parser.write, bytes(batch))
    except FormParserError:
        raise HTTPException(400, "The form is damaged; send it again.") from None
    if not reader.done:
        raise HTTPException(400, "The form ended too early; send it again.")


def sweep_uploads(home: Path) -> int:
    """Remove what uploads left whose gateway died; returns how many.

    Another channel's that are under way are kept: they belong to a process that lives.
    """
    swept = 0
    for folder in home.glob(f"{INCOMING}*"):
        owner = folder.name.removeprefix(INCOMING).partition("-")[0]
        if not owner.isdecimal() or not Path(f"/proc/{owner}").exists() or int(owner) == os.getpid():
            shutil.rmtree(folder, ignore_errors=True)
            swept += 1
    return swept


def _incoming(home: Path) -> Path:
    try:
        home.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"{INCOMING}{os.getpid()}-", dir=home))
    except OSError as error:
        raise HTTPException(507, f"The studio's home cannot be written ({error.strerror}).") from None


def _too_large(what: str, limit: int) -> HTTPException:
    # Closing the connection is what makes the sender stop.
    return HTTPException(413, f"{what} is larger than {_size(limit)}; send a smaller one.", {"connection": "close"})


def _size(count: int) -> str:
    for unit, shift in (("GB", 30), ("MB", 20), ("KB", 10)):
        if count >= 1 << shift:
            return f"{count >> shift} {unit}"
    return f"{count} bytes"
