"""A multipart form as it arrives: every part is limited and refused early, and no file is left behind."""

import asyncio
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from services.gateway.api import uploads
from services.gateway.api.uploads import MAX_HEADS_BYTES, MAX_NAME_BYTES, UploadForm, file_name

pytestmark = pytest.mark.unit

LIMITS = {"title": 100, "media": 200_000}
KIND = "multipart/form-data; boundary=B"


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    named = "" if filename is None else f'; filename="{filename}"'
    head = f'--B\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--B--\r\n"


@dataclass
class Upload:
    """A request whose body arrives in pieces. taken: pieces requested so far."""

    home: Path
    body: bytes
    piece: int = 1000
    headers: dict[str, str] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=lambda: LIMITS)
    leaves: bool = False  # the sender disconnects before the end
    taken: int = 0

    async def _receive(self) -> Message:
        begin = self.taken * self.piece
        self.taken += 1
        if self.leaves and begin + self.piece >= len(self.body):
            return {"type": "http.disconnect"}
        more = begin + self.piece < len(self.body)
        return {"type": "http.request", "body": self.body[begin : begin + self.piece], "more_body": more}

    def read(self, look: Callable[[UploadForm], None] = lambda form: None) -> UploadForm:
        """Return the form; `look` is called with it while its files exist."""
        headers = {"content-type": KIND} | self.headers
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        request = Request({"type": "http", "method": "POST", "headers": raw}, self._receive)

        async def reading() -> UploadForm:
            async with uploads.received_form(request, self.home, self.limits) as received:
                look(received)
                return received

        try:
            return asyncio.run(reading())
        finally:
            left = [path.name for path in self.home.iterdir()] if self.home.is_dir() else []
            assert left == [], "nothing of it stays"

    def refused(self) -> tuple[int, str]:
        with pytest.raises(HTTPException) as raised:
            self.read()
        assert raised.value.detail.endswith(".") and "\n" not in raised.value.detail
        return raised.value.status_code, raised.value.detail


@pytest.fixture(params=[1, 7, 100_000])
def piece(request: pytest.FixtureRequest) -> int:
    """Bytes that arrive in one piece; a boundary may span two pieces."""
    return int(request.param)


def test_fields_and_files_come_as_they_were_sent(tmp_path: Path, piece: int) -> None:
    content = bytes(range(256)) + b"\r\n--B\r\n--".replace(b"--B\r\n", b"--b\r\n")
    body = form(part("title", "Gr\u00fc\u00dfe".encode()), part("media", content, "my film.mp4"))

    def look(received: UploadForm) -> None:
        path = received.files["media"]
        assert path.read_bytes() == content and path.name == "my film.mp4"
        assert path.is_relative_to(tmp_path) and path.parent.parent.stat().st_mode & 0o777 == 0o700

    received = Upload(tmp_path, body, piece).read(look)
    assert received.fields == {"title": "Gr\u00fc\u00dfe"} and received.names == {"media": "my film.mp4"}


def test_a_file_may_be_as_large_as_its_limit_and_not_a_byte_larger(tmp_path: Path) -> None:
    most = LIMITS["media"]
    sizes: list[int] = []
    Upload(tmp_path, form(part("media", bytes(most), "a"))).read(
        lambda received: sizes.append(received.files["media"].stat().st_size)
    )
    assert sizes == [most]
    status, said = Upload(tmp_path, form(part("media", bytes(most + 1), "a"))).refused()
    assert status == 413 and said == "'media' is larger than 195 KB; send a smaller one."


def test_a_field_may_be_as_long_as_its_limit_and_not_a_byte_longer(tmp_path: Path, piece: int) -> None:
    assert Upload(tmp_path, form(part("title", b"x" * 100)), piece).read().fields == {"title": "x" * 100}
    status, said = Upload(tmp_path, form(part("title", b"x" * 101)), piece).refused()
    assert status == 413 and said == "'title' is larger than 100 bytes; send a smaller one."


def test_what_declares_too_much_is_refused_before_any_of_it_is_taken_in(tmp_path: Path) -> None:
    most = sum(LIMITS.values()) + MAX_HEADS_BYTES
    for declared in (str(most + 1), "1" + "0" * 30, "-1", "1.5", "many", ""):
        upload = Upload(tmp_path, form(part("title", b"x")), headers={"content-length": declared})
        status, said = upload.refused()
        assert (status, upload.taken) == (413, 0) and said.startswith("The upload is larger than "), declared
    assert Upload(tmp_path, form(), headers={"content-length": str(most)}).read().files == {}


def test_what_declares_little_and_sends_much_is_cut_off(tmp_path: Path) -> None:
    """Data after the last part counts as well, even where every part is within its limit."""
    most = sum(LIMITS.values()) + MAX_HEADS_BYTES
    upload = Upload(tmp_path, form(part("title", b"x")).ljust(most + 50_000), 10_000, {"content-length": "10"})
    status, said = upload.refused()
    assert status == 413 and said.startswith("The upload is larger than ")
    assert upload.taken * 10_000 <= most + 10_000
    assert Upload(tmp_path, form(part("title", b"x")).ljust(most), 10_000).read().fields == {"title": "x"}


def test_the_connection_of_a_sender_of_too_much_is_closed(tmp_path: Path) -> None:
    with pytest.raises(HTTPException) as raised:
        Upload(tmp_path, form(part("media", bytes(300_000), "a"))).read()
    assert raised.value.headers == {"connection": "close"}


@pytest.mark.parametrize(
    "kind", ["", "application/json", "multipart/form-data", "multipart/form-data; boundary=",
             "multipart/mixed; boundary=B",
             "multipart/form-data; boundary=" + "B" * 201],
)  # fmt: skip
def test_what_is_no_form_is_refused(tmp_path: Path, kind: str) -> None:
    upload = Upload(tmp_path, form(part("title", b"x")), headers={"content-type": kind})
    assert upload.refused() == (415, "Send a form as multipart/form-data.") and upload.taken == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"nonsense", 400), (form(part("title", b"x"))[:-6], 400), (form(part("media", b"x",
        "a"))[:-9], 400),
        (part("title", b"x"), 400), (b"--B\r\nContent Disposition: x\r\n\r\nx\r\n--B--\r\n", 400),
        (form(part("title", b"x"), part("title", b"y")), 422), (form(part("media", b"", "a"), part("media", b"",
        "b")), 422),
        (form(part("other", b"x")), 422), (form(part("", b"x")), 422), (b"--B\r\n\r\nx\r\n--B--\r\n", 422),
        (form(part("../media", b"x", "a")), 422),
    ],
)  # fmt: skip
def test_a_damaged_form_is_refused_in_one_sentence(tmp_path: Path, piece: int, body: bytes, status: int) -> None:
    assert Upload(tmp_path, body, piece).refused()[0] == status


def test_a_sender_that_leaves_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ClientDisconnect):
        Upload(tmp_path, form(part("media", bytes(5000), "a")), leaves=True).read()


@pytest.mark.parametrize(
    "given", ["../../etc/passwd", "/etc/passwd", "..", ".", "", ".bashrc", "-rf", "a\x00b", "a\r\nb", "C:\\evil.exe",
              "\ud800",
              "x" * 400, "\u00e9" * 200 + ".mp4", "a" + ".b" * 100, "a?b*c<d>e|f:g", "\u202egpj.exe", "nul\x7f"],
)  # fmt: skip
def test_a_strangers_name_names_a_file_in_the_folder_and_nothing_else(tmp_path: Path, given: str) -> None:
    name = file_name(given, "media")
    assert name and name.isprintable() and not set(name) & set('/\\:*?"<>|')
    assert not name.startswith((".", "-")) and len(name.encode()) <= MAX_NAME_BYTES
    (tmp_path / name).write_bytes(b"")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("filename", ["../../evil", "..\\evil", "/tmp/evil", ".", "x" * 300])
def test_a_file_stays_in_its_folder_whatever_it_is_called(tmp_path: Path, filename: str) -> None:
    inside: list[bool] = []

    def look(received: UploadForm) -> None:
        path = received.files["media"].resolve()
        inside.append(path.parent.name == "media" and path.parent.parent.parent == tmp_path.resolve())

    Upload(tmp_path, form(part("media", b"x", filename))).read(look)
    assert inside == [True]


def test_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, *_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(uploads._Reader, "on_part_data", full)
    status, said = Upload(tmp_path, form(part("media", b"x", "a"))).refused()
    assert status == 507 and "No space left on device" in said


def test_a_home_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    upload = Upload(tmp_path / "file" / "home", form(part("title", b"x")))
    assert upload.refused()[0] == 507 and upload.taken == 0
    (tmp_path / "file").unlink()
