"""Texts sent over the API and the speech socket, spoken by a voice behind real HTTP."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from harness.channel import PATIENCE_S
from harness.speech_server import KEY, SpeechServer
from shared.jobs.manifest import read_job_manifest
from shared.jobs.store import open_store
from shared.runtime.clock import SOUND_RATE_HZ
from tests.support.files.sound_files import tone
from tests.support.running.gateway import GatewayStudio

SPEECH = "/channels/main/speech"


@pytest.fixture(autouse=True)
def calm(speaking: GatewayStudio, server: SpeechServer) -> Iterator[None]:
    """Set the server to streaming before the test, and silence the host after it."""
    server.mode = "stream"
    server.asked.clear()
    server.release.clear()
    yield
    server.release.set()
    speaking.http.post(f"{SPEECH}/interrupt")


def say(speaking: GatewayStudio, text: str, **more: Any) -> httpx.Response:
    return speaking.http.post(SPEECH, json={"text": text, **more})


def row_of(speaking: GatewayStudio, utterance: str) -> dict[str, Any]:
    state = speaking.http.get(SPEECH).json()
    return next(dict(row) for row in (*state["queue"], *state["recent"]) if row["id"] == utterance)


def test_a_text_is_spoken_and_its_sentences_have_the_times_at_which_they_are_heard(speaking: GatewayStudio) -> None:
    answer = say(speaking, "Hello. This is a test.")
    assert answer.status_code == 201 and answer.json()["title"] == "Hello"
    assert speaking.state()["scene"]["driver"] == "speech"
    speaking.wait(lambda: row_of(speaking, answer.json()["id"])["state"] == "ended")
    first, second = speaking.state()["speech"]["lines"]
    assert (first["text"], second["text"]) == ("Hello.", "This is a test.")
    # They are longer than their sound where a busy machine played some of it late.
    assert (first["end"] - first["start"]) / 1e6 > 0.29 and (second["end"] - second["start"]) / 1e6 > 0.74
    assert second["start"] > first["end"] - 5000


def test_the_sentence_that_is_heard_is_shown_and_no_other(speaking: GatewayStudio, server: SpeechServer) -> None:
    server.mode = "stall"
    said = say(speaking, "Hello. This is a test.").json()
    speaking.wait(lambda: speaking.state()["speech"]["saying"] == "Hello.")
    server.release.set()
    speaking.wait(lambda: row_of(speaking, said["id"])["state"] == "ended")
    assert speaking.state()["speech"]["saying"] == ""


@pytest.mark.parametrize(
    ("mode", "words"),
    [("refuse", "rejects the API key"), ("fail", "does not speak (500"), ("mp3", "not 16 bit mono PCM")],
)
def test_a_voice_that_fails_answers_in_a_sentence_and_the_next_text_is_spoken(
    speaking: GatewayStudio, server: SpeechServer, mode: str, words: str
) -> None:
    server.mode = mode
    answer = say(speaking, "Hello.")
    assert answer.status_code == 502 and words in answer.json()["detail"]
    assert words in json.dumps(speaking.state()["log"]) and KEY not in json.dumps(speaking.state())
    server.mode = "stream"
    following = say(speaking, "Next.").json()
    speaking.wait(lambda: row_of(speaking, following["id"])["state"] == "ended")
    assert not row_of(speaking, following["id"])["note"]


def test_an_interrupt_closes_the_connection_to_the_server(speaking: GatewayStudio, server: SpeechServer) -> None:
    server.mode = "stall"
    server.closed.clear()
    said = say(speaking, "A sentence that does not come to its end.").json()
    speaking.wait(lambda: row_of(speaking, said["id"])["state"] == "started")
    assert speaking.http.post(f"{SPEECH}/interrupt").json()["interrupted"] == [said["id"]]
    assert server.closed.wait(PATIENCE_S)
    assert row_of(speaking, said["id"])["state"] == "interrupted"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"text": ""}, 422, "nothing that can be spoken"),
        ({"text": "a" * 10_001}, 422, "'text'"),
        ({"text": 5}, 422, "'text'"),
        ({"words": "a"}, 422, "'text'"),
        ({"text": "a", "voice": "../x"}, 422, "There is no voice '../x'; choose one of openai, piper, espeak."),
        ({"text": "a", "voice": "piper"}, 422, "piper"),
        (["a"], 422, "'body'"),
    ],
)
def test_what_is_no_text_is_refused_in_a_sentence(
    speaking: GatewayStudio, body: object, status: int, words: str
) -> None:
    answer = speaking.http.post(SPEECH, json=body)
    assert answer.status_code == status and words in answer.json()["detail"]
    assert not speaking.http.get(SPEECH).json()["queue"]


def test_a_body_that_is_no_json_or_too_large_is_refused(speaking: GatewayStudio) -> None:
    head = {"content-type": "application/json; charset=utf-8"}
    assert speaking.http.post(SPEECH, content=b"{", headers=head).status_code == 422
    assert speaking.http.post(SPEECH, content=b"[" * 60_000, headers=head).status_code == 422
    assert speaking.http.post(SPEECH, content=b" " * 70_000, headers=head).status_code == 413


def test_the_voices_are_listed_with_what_helps(speaking: GatewayStudio) -> None:
    found = speaking.http.get("/voices").json()
    rows = {row["name"]: row for row in found["voices"]}
    assert rows["openai"] == {
        "name": "openai",
        "title": "OpenAI speech API",
        "chosen": True,
        "unavailable": "",
        "command": "",
    }
    assert not found["note"] and rows["piper"]["command"] and not rows["piper"]["chosen"]


def test_the_socket_takes_texts_between_sound_and_keeps_their_order(
    speaking: GatewayStudio, server: SpeechServer
) -> None:
    address = f"ws://{speaking.address}/api/v1/channels/main/speech"
    with connect(address, compression=None, open_timeout=PATIENCE_S) as connection:
        connection.send(json.dumps({"token": speaking.token, "title": "sound"}))
        assert json.loads(connection.recv(PATIENCE_S)) == {"event": "ready"}
        connection.send(tone(0.2, rate=SOUND_RATE_HZ).tobytes())
        connection.send(json.dumps({"text": "A text."}))
        connection.send(tone(0.2, rate=SOUND_RATE_HZ).tobytes())
        connection.send('{"do": "end"}')
        ended: list[str] = []
        while len(ended) < 3:
            event = json.loads(connection.recv(PATIENCE_S))
            if event["event"] == "ended":
                ended.append(event["title"])
        assert ended == ["sound", "A text", "sound"]
        server.mode = "refuse"
        connection.send(json.dumps({"text": "Fails."}))
        while (event := json.loads(connection.recv(PATIENCE_S)))["event"] != "ended":
            assert event["event"] == "queued"
        assert "rejects the API key" in event["note"]
        for wrong in ({"text": 5}, {"text": "…"}, {"text": "a", "voice": "none"}, {"text": "a", "more": 1}):
            connection.send(json.dumps(wrong))
            refused = json.loads(connection.recv(PATIENCE_S))
            assert refused["event"] == "refused" and refused["note"].endswith(".")


def test_a_text_becomes_a_job_whose_speech_is_made_once(
    speaking: GatewayStudio, server: SpeechServer, small_home: Path
) -> None:
    home = speaking.settings.home
    shutil.copytree(small_home / "avatars" / "sample", home / "avatars" / "whole", dirs_exist_ok=True)

    def hand_in(text: str, **fields: str) -> httpx.Response:
        parts: dict[str, Any] = {name: (None, value) for name, value in {"avatar": "whole", **fields}.items()}
        parts["text"] = ("page.txt", text.encode(), "text/plain")
        return speaking.http.post("/jobs", files=parts, headers={"Idempotency-Key": "one"})

    server.mode = "refuse"
    refused = hand_in("A page. It has two sentences.")
    assert refused.status_code == 422 and "rejects the API key" in refused.json()["detail"]
    server.mode = "stream"
    server.asked.clear()
    first = hand_in("A page. It has two sentences.")
    assert first.status_code == 201, first.text
    assert first.json()["driver"] == "page.txt" and first.json()["total"] == pytest.approx(25 * 29 * 0.05, abs=3)
    assert hand_in("A page. It has two sentences.").json()["id"] == first.json()["id"]
    assert [each["input"] for each in server.asked] == ["A page.", "It has two sentences."]
    store = open_store(speaking.settings.jobs_url)
    manifest = read_job_manifest(store, first.json()["id"])
    captions = (store.read(manifest.captions_file) or b"").decode()
    assert captions.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:00.") and "\nIt has two sentences.\n" in captions
    assert manifest.driver_file.endswith(".wav") and manifest.plan.driven == "voice"
    for text, fields, words in (
        ("…", {}, "nothing that can be spoken"),
        ("Hello.", {"inbox": "a.wav"}, "a text or a driver, not both"),
        ("Hello.", {"voice": "none"}, "There is no voice 'none'"),
        ("Hello.", {"priority": "most"}, "priority"),
    ):
        answer = hand_in(text, **fields)
        assert answer.status_code == 422 and words in answer.json()["detail"]
