"""Multipart uploads, written to disk while they arrive; nothing beyond the limit of a field is accepted."""

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

INCOMING = ".incoming-"  # prefix of an upload's folder, followed by the id of the process that receives it
MAX_FIELD_BYTES = 4 << 10
MAX_NAME_BYTES = 120  # longest file name
MAX_HEADS_BYTES = 64 << 10  # for boundaries and part headers, in addition to the limits of the parts
BATCH_BYTES = 1 << 20  # bytes per write to the disk, which runs in a thread to keep the event loop free
FILE_FIELD, TEXT_FIELD = {"type": "string", "format": "binary"}, {"type": "string"}  # OpenAPI schemas


def form_schema(required: list[str], **properties: dict[str, str]) -> dict[str, Any]:
    """Return the OpenAPI description of a form that `received_form` reads instead of FastAPI."""
    schema = {"type": "object", "required": required, "properties": properties}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


@dataclass(slots=True)
class UploadForm:
    """An uploaded form: text fields and files, by field name.

    names: the file names that the sender gave. Each file is stored in a separate folder under a name as close to the
    given one as `file_name` allows, so that error sentences use the name that the user knows.
    """

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Reader:
    """Callbacks of the multipart parser, which store each part in its field or file."""

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
    """Return a file name that is safe on every system and as close as possible to the untrusted name `given`.

    otherwise: the stem to use if nothing of the given one is left.
    """
    plain = "".join(char if char.isprintable() and char not in '/\\:*?"<>|' else "_" for char in given).lstrip(".-")
    stem, suffix = Path(plain).stem, Path(plain).suffix[:16]
    room = MAX_NAME_BYTES - len(suffix.encode())
    return (stem.encode()[:room].decode("utf-8", "ignore") or otherwise) + suffix


@asynccontextmanager
async def received_form(request: Request, home: Path, limits: dict[str, int]) -> AsyncIterator[UploadForm]:
    """Receive the form of this request; its files are in a temporary folder, which is deleted on exit.

    limits: the allowed fields and the maximum bytes of each; a field with a limit above 4 KB is a file. Raises
    HTTPException (400, 413, 415, 422 or 507) with one sentence.
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
    """Remove the folders of uploads whose gateway died; returns their number.

    Uploads that another channel's gateway is receiving are kept, because its process is alive.
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
        raise HTTPException(
            507, f"The studio's home cannot be written ({error.strerror}); free some space, or make it writable."
        ) from None


def _too_large(what: str, limit: int) -> HTTPException:
    # Only closing the connection makes the sender stop.
    return HTTPException(413, f"{what} is larger than {_size(limit)}; send a smaller one.", {"connection": "close"})


def _size(count: int) -> str:
    for unit, shift in (("GB", 30), ("MB", 20), ("KB", 10)):
        if count >= 1 << shift:
            return f"{count >> shift} {unit}"
    return f"{count} bytes"
