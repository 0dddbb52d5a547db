"""Jobs submitted over HTTP: what is accepted, what is refused, and that no field is ever used as a path."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from harness.channel import PATIENCE_S
from services.local.samples import sample_driver
from shared.jobs.manifest import read_job_manifest
from shared.jobs.store import Store, open_store
from tests.support.engines.job_engines import ENGINES
from tests.support.files.sound_files import tone, wav
from tests.support.running.gateway import GatewayStudio, studio


@pytest.mark.parametrize(
    "named",
    [
        "../token",
        "/etc/passwd",
        "..",
        ".",
        "folder/x.mp4",
        "link.mp4",
        "pipe.mp4",
        ".hidden.mp4",
        "gone.mp4",
        "a\nb",
        "x" * 900,
    ],
)
def test_nothing_outside_the_inbox_becomes_a_driver(running: GatewayStudio, store: Store, named: str) -> None:
    folder = running.settings.home / "inbox"
    folder.mkdir(exist_ok=True)
    link = folder / "link.mp4"
    if not link.is_symlink():
        link.symlink_to("/etc/passwd")
    answer = running.http.post("/jobs", files={"avatar": (None, "sample"), "inbox": (None, named)})
    assert answer.status_code == 422 and "in the inbox" in answer.json()["detail"], answer.text
    assert store.list("jobs") == []


def handed_in(
    running: GatewayStudio, driver: bytes = b"", name: str = "talk.wav", key: str = "", **fields: str
) -> httpx.Response:
    """Submit a form as a page does; an empty driver is left out."""
    parts: dict[str, Any] = {field: (None, value) for field, value in fields.items()}
    if driver:
        parts["driver"] = (name, driver, "application/octet-stream")
    headers = {"Idempotency-Key": key} if key else {}
    return running.http.post("/jobs", files=parts, headers=headers)


def speech(seconds: float = 2.0) -> bytes:
    return wav(tone(seconds, rate=16_000), 16_000)


def test_a_driver_is_uploaded_and_the_same_key_is_the_same_job(
    running: GatewayStudio, store: Store, avatar: str
) -> None:
    wanted = {"avatar": avatar, "priority": "high", "label": "no"}
    answer = handed_in(running, speech(), "welcome talk.wav", "spring-1", **wanted)
    assert answer.status_code == 201, answer.text
    job = answer.json()
    assert (job["state"], job["driver"], job["priority"], job["total"]) == ("queued", "welcome talk.wav", "high", 50)
    assert handed_in(running, speech(), "welcome talk.wav", "spring-1", **wanted).json()["id"] == job["id"]
    other = handed_in(running, speech(3), "welcome talk.wav", "spring-1", **wanted)
    assert other.status_code == 409 and "key" in other.json()["detail"]
    assert store.list("jobs") == [job["id"]]
    assert not list(running.settings.home.glob(".incoming-*"))


def test_a_file_of_the_inbox_is_the_driver_and_stays_there(running: GatewayStudio, store: Store, avatar: str) -> None:
    folder = running.settings.home / "inbox"
    folder.mkdir(exist_ok=True)
    (folder / "long talk.wav").write_bytes(speech())
    answer = handed_in(running, inbox="long talk.wav", avatar=avatar)
    assert answer.status_code == 201 and answer.json()["driver"] == "long talk.wav", answer.text
    assert (folder / "long talk.wav").read_bytes() == speech()


@pytest.mark.parametrize(
    ("fields", "status_code", "word"),
    [
        ({}, 404, "avatar"), ({"avatar": "missing"}, 404, "avatar"), ({"avatar": "../whole"}, 404, "avatar"),
        ({"avatar": "whole", "engine": "none"}, 422, "engine"),
        ({"avatar": "whole", "engine": "a" * 65}, 413, "engine"),
        ({"avatar": "whole", "quality": "half"}, 422, "Mesh warp has no option 'quality'"),
        ({"avatar": "whole", "options": '{"a": [1]}'}, 422, "JSON object"),
        ({"avatar": "whole", "options": "quality"}, 422, "JSON object"),
        ({"avatar": "whole", "options": "[]"}, 422, "JSON object"),
        ({"avatar": "whole", "options": " " * 4097}, 413, "options"),
        ({"avatar": "whole", "codec": "gif"}, 422, "codec"), ({"avatar": "whole", "size": "big"}, 422, "size"),
        ({"avatar": "whole", "size": "101x101"}, 422, "even"),
        ({"avatar": "whole", "fps": "0"}, 422, "frames a second"),
        ({"avatar": "whole", "fps": "nan"}, 422, "rate"), ({"avatar": "whole", "fps": "1e400"}, 422, "rate"),
        ({"avatar": "whole", "priority": "now"}, 422, "priority"),
        ({"avatar": "whole", "label": "maybe"}, 422, "label"),
        ({"avatar": "whole", "out": "/tmp/x.mp4"}, 422, "unexpected"),
        ({"avatar": "whole", "inbox": "x.wav"}, 422, "in the field 'driver', a text"),
        ({"avatar": "sample"}, 422, "avatar"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_sentence_and_leaves_nothing(
    running: GatewayStudio, store: Store, avatar: str, fields: dict[str, str], status_code: int, word: str
) -> None:
    answer = handed_in(running, speech(), **fields)
    assert answer.status_code == status_code, answer.text
    detail = answer.json()["detail"]
    assert word in detail and detail.endswith((".", ".)")) and "Traceback" not in detail, detail
    assert store.list("jobs") == [] and not list(running.settings.home.glob(".incoming-*"))


def test_options_of_the_engine_are_kept_in_the_manifest(sample_home: Path, live_home: Path) -> None:
    film = sample_driver(live_home).read_bytes()
    with TemporaryDirectory() as folder, studio(Path(folder), engines=ENGINES) as own:
        shutil.copytree(sample_home / "avatars" / "sample", own.settings.home / "avatars" / "whole")
        store = open_store(own.settings.jobs_url)
        fields = {"avatar": "whole", "engine": "dyed"}
        refusals = {
            '{"blue": "much"}': "Option 'blue' of Dyed card: Input should be a valid integer",
            '{"bleu": 3}': "Dyed card has no option 'bleu'; it has blue, quality.",
            '{"quality": "loud"}': "Input should be 'deep' or 'pale' (got 'loud')",
        }
        for options, said in refusals.items():
            answer = handed_in(own, film, "film.mp4", options=options, **fields)
            assert answer.status_code == 422 and said in answer.json()["detail"], answer.text
        assert store.list("jobs") == []
        for more, look in (
            ({"options": '{"blue": 30, "quality": "pale"}'}, {"blue": 30, "quality": "pale"}),
            ({"quality": "pale"}, {"blue": 10, "quality": "pale"}),
        ):
            answer = handed_in(own, film, "film.mp4", **fields, **more)
            assert answer.status_code == 201, answer.text
            assert read_job_manifest(store, answer.json()["id"]).look == look


def test_drivers_of_no_use_are_refused(running: GatewayStudio, store: Store, avatar: str) -> None:
    cases = [(b"\0", "empty.mp4"), (b"no film" * 1000, "broken.mp4"), (speech(0), "short.wav"), (b"RIFF", "x.wav")]
    for content, name in cases:
        answer = handed_in(running, content, name, avatar=avatar)
        assert answer.status_code == 422 and name in answer.json()["detail"], (name, answer.text)
    nothing = running.http.post("/jobs", files={"avatar": (None, avatar), "driver": ("e.mp4", b"")})
    assert nothing.status_code == 422 and "e.mp4" in nothing.json()["detail"], nothing.text
    assert handed_in(running, avatar=avatar).status_code == 422
    assert store.list("jobs") == [] and not list(running.settings.home.glob(".incoming-*"))


@pytest.mark.parametrize("key", ["a b", "x" * 201, "tab\there"])
def test_a_key_that_is_none(running: GatewayStudio, store: Store, avatar: str, key: str) -> None:
    answer = handed_in(running, speech(), key=key, avatar=avatar)
    assert answer.status_code == 422 and "Idempotency-Key" in answer.json()["detail"]


def test_too_large_an_upload_is_refused_before_it_has_come(running: GatewayStudio) -> None:
    with socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE_S) as line:
        line.sendall(
            f"POST /api/v1/jobs HTTP/1.1\r\nHost: {running.address}\r\nAuthorization: Bearer {running.token}\r\n"
            f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {9 << 30}\r\n\r\n".encode()
        )
        assert b" 413 " in line.recv(4096).split(b"\r\n")[0]


def test_the_program_goes_on_while_a_driver_comes_in(running: GatewayStudio) -> None:
    named = 'form-data; name="avatar"\r\n\r\nmissing\r\n--b\r\nContent-Disposition: form-data; name="driver"'
    head = f'--b\r\nContent-Disposition: {named}; filename="large.mp4"\r\n\r\n'

    def arriving() -> Iterator[bytes]:
        yield head.encode()
        for _ in range(15):
            yield bytes(10 << 20)
            assert running.stranger.get("/version").status_code == 200, "others are answered meanwhile"
        yield b"\r\n--b--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert running.http.post("/jobs", content=arriving(), headers=headers).status_code == 404
