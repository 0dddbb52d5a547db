"""Publishing to a real LiveKit server: what a subscriber sees and hears, and how the output handles failures."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import jwt
import numpy as np
import pytest
from livekit import rtc
from pydantic import SecretStr

from harness.channel import PATIENCE_S, wait_for
from harness.flash import FlashGateway, flash_gateway
from harness.speech_server import speech_server
from harness.viewers import subscriber
from publishing import stay, token
from publishing.errors import connection_refusal, room_end_reason
from publishing.publication import Publication
from publishing.token import publisher_token, viewer_token
from services.gateway.channel.event_log import EventLog
from services.gateway.outputs.livekit import LiveKitOutput
from services.local.livekit_server import LiveKitServer
from shared.config.settings import Settings
from shared.runtime.clock import US, tick_pts
from shared.runtime.restart import RetryDelay
from tests.support.browser.sync import LOOKS, in_sync
from tests.support.running.livekit import SIZE_PX, keys, viewer
from tests.support.running.program_ticks import make_frame, sound


@pytest.fixture(scope="module")
def published(livekit_server: LiveKitServer) -> Iterator[FlashGateway]:
    """A gateway that publishes the flash program; a test that changes the scene or output restores it."""
    with pytest.MonkeyPatch.context() as patch, speech_server() as voice:
        patch.setenv("STUDIO_VOICE_OPENAI_URL", voice.url)
        with flash_gateway(SIZE_PX, livekit=True, **keys(livekit_server)) as running:
            running.wait(lambda: running.livekit()["state"] == "live")
            yield running


def watch(running: FlashGateway, seconds: float) -> subscriber.Received:
    settings = running.settings
    return subscriber.finished_subscriber(
        subscriber.start(settings.livekit_url, viewer_token(settings, 5).token, seconds)
    )


def test_a_subscriber_sees_and_hears_the_program_in_sync(published: FlashGateway) -> None:
    looks: list[subscriber.Received] = []

    def look() -> list[float]:
        looks.append(watch(published, 9))
        return [offset for at, offset in looks[-1].offsets() if at > 2]

    assert in_sync(look)
    got = looks[-1]
    assert (got.frames[0][1], got.frames[0][2]) == SIZE_PX  # full resolution from the first frame on
    assert min(row[3] for row in got.frames) > 40  # never the black frames of the library
    loud = [hertz for _, hertz, level in got.peaks if level > 2000]
    assert loud and abs(float(np.median(loud)) - 1000) < 20
    sides = np.array([row[6] for row in got.frames])
    assert sides.max() - sides.min() > 4  # the bar wanders from one half to the other
    numbers = np.array([row[4] for row in got.frames])
    assert all(later > earlier for earlier, later in pairwise(numbers))
    captured = got.begun + np.array([row[0] - row[5] / 1000 for row in got.frames])
    due = [tick_pts(int(number), published.settings.rate) / US for number in numbers]
    assert abs(float(np.median(captured - due))) < 0.02  # each frame is stamped with the time of its tick


def test_the_console_shows_what_the_viewers_get(published: FlashGateway) -> None:
    def shown() -> dict[str, float] | None:
        figures = dict(published.livekit()["figures"])
        there = figures.get("viewers") == 1 and figures.get("kbps", 0) > 100 and {"rtt_ms", "width"} <= set(figures)
        return figures if there else None

    with viewer(published.settings):
        figures = published.wait(shown)
    assert (figures["width"], figures["height"]) == SIZE_PX
    assert 0 <= figures["loss"] < 1 and figures["fps"] > 0
    published.wait(lambda: published.livekit()["figures"].get("viewers") == 0)
    assert published.settings.livekit_api_secret.get_secret_value() not in str(published.state())


def test_captions_reach_the_room_with_their_sound(published: FlashGateway) -> None:
    def lines() -> dict[str, dict[str, Any]]:
        return {line["text"]: line for line in published.state()["speech"]["lines"] if line["end"]}

    def look(number: int) -> float:
        """Return the milliseconds from the sound to its caption, the median of four sentences."""
        texts = [f"Sentence {name} of look number {number}." for name in "abcd"]
        with viewer(published.settings) as got:
            published.wait(lambda: published.livekit()["figures"].get("viewers") == 1 and got.onsets)
            published.post("speech", {"text": " ".join(texts), "voice": "openai"}).raise_for_status()
            spoken = published.wait(lambda: set(found := lines()) >= set(texts) and found)
            published.wait(lambda: len(got.captions) >= 2 * len(texts) and all(row["text"] for row in got.captions))
        assert [(row["text"], row["final"]) for row in got.captions] == [
            (text, final) for text in texts for final in (False, True)
        ]
        assert all(row["track"] and row["id"] == spoken[row["text"]]["id"] for row in got.captions)
        # The program beeps at whole seconds of the clock, so an onset's fraction of a second is the delay of the sound.
        onsets = np.array(got.onsets) + got.begun
        late = []
        for row in got.captions:
            at, due = got.begun + row["at"], spoken[row["text"]]["end" if row["final"] else "start"] / 1e6
            late.append((at - due - onsets[np.abs(onsets - at).argmin()] % 1) * 1000)
        print(f"caption after sound, ms: {np.round(late)}")
        return float(np.median(late))

    assert any(abs(look(number)) < 100 for number in range(LOOKS))  # as in `in_sync`
    published.patch(driver="sample").raise_for_status()


def test_another_size_needs_no_other_track(published: FlashGateway) -> None:
    other = (480, 640)
    with viewer(published.settings) as got:
        published.wait(lambda: got.frames)
        published.program.size = other
        try:
            published.wait(lambda: (got.frames[-1][1], got.frames[-1][2]) == other)
        finally:
            published.program.size = SIZE_PX
    assert (got.frames[0][1], got.frames[0][2]) == SIZE_PX
    published.wait(lambda: published.livekit()["figures"].get("height") == SIZE_PX[1])


def test_it_is_switched_without_a_restart_and_only_with_the_token(published: FlashGateway) -> None:
    url = f"/channels/{published.settings.channel}/scene"
    assert published.http.patch(url, json={"livekit": False}, headers={"Authorization": "Bearer no"}).status_code == 401
    assert published.livekit()["state"] == "live"
    published.patch(livekit=False).raise_for_status()
    published.wait(lambda: published.livekit()["state"] == "off")
    published.patch(livekit=True).raise_for_status()
    published.wait(lambda: published.livekit()["state"] == "live")


def recorded(running: FlashGateway) -> float:
    return float(running.state()["outputs"]["record"]["figures"].get("seconds", 0))


def test_a_killed_server_is_found_again_and_nothing_else_notices(
    published: FlashGateway, livekit_server: LiveKitServer
) -> None:
    published.post("recording").raise_for_status()
    published.wait(lambda: recorded(published) > 1)
    livekit_server.kill()
    down = published.wait(lambda: (now := published.livekit())["state"] == "reconnecting" and now)
    assert "lost" in down["note"] and str(livekit_server.url.rpartition("/")[2]) in down["note"]
    before = recorded(published)
    published.wait(lambda: recorded(published) > before + 4)  # it would stop if the output held up the program
    livekit_server.start()
    published.wait(lambda: published.livekit()["state"] == "live")
    with viewer(published.settings) as got:
        published.wait(lambda: len(got.frames) > 25 and got.onsets)
    published.http.delete(f"/channels/{published.settings.channel}/recording").raise_for_status()


def test_two_publishers_of_one_name_do_not_fight(published: FlashGateway) -> None:
    async def intrude() -> bool:
        room = rtc.Room()
        await room.connect(published.settings.livekit_url, publisher_token(published.settings))
        await asyncio.to_thread(published.wait, lambda: published.livekit()["state"] == "failed")
        await asyncio.sleep(6)  # time in which the gateway must not join again
        stayed = room.isconnected()
        await room.disconnect()
        return stayed

    assert asyncio.run(intrude())
    state = published.livekit()
    assert state["state"] == "failed" and "Another studio publishes" in state["note"]
    published.patch(livekit=False)
    published.wait(lambda: published.livekit()["state"] == "off")
    published.patch(livekit=True)
    published.wait(lambda: published.livekit()["state"] == "live")


@contextmanager
def output(**changes: Any) -> Iterator[tuple[LiveKitOutput, EventLog]]:
    """A LiveKit output on its own, fed by a thread."""
    event_log, ending = EventLog(), threading.Event()
    made = LiveKitOutput(Settings(**changes), event_log)

    def feed() -> None:
        tick = 0
        while not ending.wait(0.04):
            tick += 1
            made.outlet.put(sound(tick))
            made.outlet.put(make_frame(tick))

    threads = [threading.Thread(target=run, daemon=True) for run in (feed, made.run)]
    for thread in threads:
        thread.start()
    made.want(True)
    try:
        yield made, event_log
    finally:
        made.stop()
        ending.set()
        for thread in threads:
            thread.join()


def until(made: LiveKitOutput, state: str) -> str:
    wait_for(lambda: made.state.state == state, PATIENCE_S, state)
    return made.state.note


def test_a_wrong_secret_is_one_sentence_and_asked_ever_less_often(
    livekit_server: LiveKitServer,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    class NotedDelay(RetryDelay):
        def next_s(self) -> float:
            pauses.append(super().next_s())
            return pauses[-1]

    monkeypatch.setattr(stay, "RetryDelay", NotedDelay)
    wrong = keys(livekit_server) | {"livekit_api_secret": SecretStr("wrong" * 8)}
    with output(**wrong) as (made, event_log):
        note = until(made, "failed")
        assert "refuses the key or secret" in note and "LIVEKIT_API_SECRET" in note
        wait_for(lambda: len(pauses) > 2, PATIENCE_S, "it was asked three times")
        assert made.state.state == "failed" and pauses == sorted(pauses) and pauses[2] >= 2 * pauses[0]
        assert len([event for event in event_log.events() if "refuses" in event.text]) == 1
    said = "".join(capfd.readouterr()) + caplog.text + str(event_log.events()) + str(made.state)
    assert "eyJ" not in said and "wrongwrong" not in said  # no log and no state contains the token or the secret


def test_an_expired_token_is_named_and_the_next_one_works(
    livekit_server: LiveKitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token, "PUBLISHER_LIFE_S", -120)
    with output(**keys(livekit_server), livekit_room="expired") as (made, _):
        assert "clocks" in until(made, "failed")
        monkeypatch.setattr(token, "PUBLISHER_LIFE_S", 600)
        until(made, "live")


def test_a_server_that_is_not_there_yet_is_waited_for(tmp_path: Path, livekit_server: LiveKitServer) -> None:
    with LiveKitServer(tmp_path / "log") as late:
        late.kill()
        with output(**keys(late)) as (made, _):
            wait_for(lambda: made.state.note.startswith(late.url.rpartition("/")[2]), PATIENCE_S, "it is named")
            assert made.state.state == "connecting"
            late.start()
            until(made, "live")


def test_without_a_key_it_says_how_to_get_one() -> None:
    with output() as (made, _):
        assert "make live LIVEKIT=1" in until(made, "failed")


def test_sentences_name_the_way_out() -> None:
    ours = Publication(url="ws://host", identity="studio-main", rate=Fraction(25))
    assert connection_refusal("403 Forbidden", ours).state == "failed"
    assert connection_refusal("connection refused", ours).state == "reconnecting"
    assert room_end_reason("PARTICIPANT_REMOVED", ours).final
    assert not room_end_reason("SERVER_SHUTDOWN", ours).final
    guest = replace(ours, guest=True)
    assert connection_refusal("401 Unauthorized", guest).final  # a guest has only one token: trying again is useless
    assert room_end_reason("ROOM_DELETED", guest).final and not room_end_reason("ROOM_DELETED", ours).final


def test_tokens_grant_the_least_for_minutes(livekit_server: LiveKitServer) -> None:
    settings = Settings(**keys(livekit_server))
    given = viewer_token(settings, 10)
    claims = jwt.decode(given.token, livekit_server.secret, algorithms=["HS256"])
    assert 0 < claims["exp"] - time.time() <= 600 and claims["sub"] == given.identity
    assert claims["video"] == {
        "roomJoin": True, "room": "main", "canPublish": False, "canSubscribe": True, "canPublishData": False,
        "canUpdateOwnMetadata": False,
    }  # fmt: skip
    assert given.identity != viewer_token(settings, 10).identity
    publisher = jwt.decode(publisher_token(settings), livekit_server.secret, algorithms=["HS256"])["video"]
    assert not publisher["canSubscribe"] and "roomAdmin" not in publisher


def test_the_server_lets_a_viewer_publish_nothing(livekit_server: LiveKitServer) -> None:
    async def publish() -> None:
        room = rtc.Room()
        await room.connect(livekit_server.url, viewer_token(Settings(**keys(livekit_server)), 10).token)
        track = rtc.LocalVideoTrack.create_video_track("mine", rtc.VideoSource(64, 64))
        try:
            await asyncio.wait_for(room.local_participant.publish_track(track), 15)
        finally:
            await room.disconnect()

    with pytest.raises((rtc.participant.PublishTrackError, TimeoutError)):
        asyncio.run(publish())
