"""Seats of the audience: their limits, which viewers have to leave, and a slow viewer that costs the others nothing."""

import asyncio
import json
from pathlib import Path

import pytest

from harness.channel import PATIENCE_S
from services.gateway.audience.links import WatchLinks, WatchRefusal, WatchRefusedError
from services.gateway.audience.seats import WatchSeats
from services.gateway.audience.viewer import (
    MOST_BAD_MESSAGES,
    MOST_IN_FLIGHT,
    MOST_MESSAGES_A_SECOND,
    SILENCE_S,
    WatchViewer,
)
from services.gateway.channel.event_log import EventLog
from services.gateway.preview.encoder import DRIVER, PreviewMessages
from services.gateway.preview.viewers import IN_FLIGHT, Audience, PreviewViewer
from shared.config.settings import Settings

pytestmark = pytest.mark.unit
RUNNER = asyncio.Runner()  # shared, because a viewer belongs to one event loop


class Seating:
    """Seats with their own links and audience. modes: preview modes that the encoder was asked for."""

    def __init__(self, home: Path, most: int = 10) -> None:
        settings = Settings(home=home, watch_viewers=most)
        self.at = 1000.0
        self.modes: frozenset[str] = frozenset()
        self.log = EventLog()
        self.links = WatchLinks(settings, self.log, "s" * 43, lambda: self.at)
        self.audience = Audience(self.hear)
        self.seats = WatchSeats(settings, self.links, self.audience, self.log)

    def hear(self, modes: frozenset[str]) -> None:
        self.modes = modes

    def token(self, viewers: int = 5, expires_s: int = 3600) -> str:
        return self.links.token(self.seats.make("", expires_s, viewers))

    def refusal(self, token: str) -> WatchRefusal:
        with pytest.raises(WatchRefusedError) as raised:
            self.seats.take(token)
        return raised.value.refusal


def frame(tick: int, avatar: str = "ada") -> PreviewMessages:
    return PreviewMessages(
        tick, avatar, number=1, width=640, height=480, full=b"F%d" % tick, roi=b"R%d" % tick, label=b"L"
    )


def sent(viewer: PreviewViewer) -> list[str | bytes]:
    """Return what may be sent to the viewer now; [] where the viewer has to wait."""
    try:
        return RUNNER.run(asyncio.wait_for(viewer.messages(), 0.01))
    except TimeoutError:
        return []


def test_a_link_has_so_many_seats_and_so_has_the_studio(tmp_path: Path) -> None:
    seating = Seating(tmp_path, most=3)
    one, other = seating.token(viewers=2), seating.token(viewers=5)
    first = seating.seats.take(one)
    seating.seats.take(one)
    assert seating.refusal(one) is WatchRefusal.LINK_FULL
    seating.seats.take(other)
    assert seating.refusal(other) is WatchRefusal.STUDIO_FULL
    assert seating.refusal("nonsense") is WatchRefusal.BAD
    assert seating.seats.turned_away == {"link_full": 1, "studio_full": 1, "bad": 1}
    seating.seats.leave(first)
    assert seating.seats.take(one).link == first.link, "a seat that was left is free"


def test_who_has_a_revoked_or_expired_link_has_to_go_and_others_stay(tmp_path: Path) -> None:
    seating = Seating(tmp_path)
    gone, short, kept = seating.token(), seating.token(expires_s=60), seating.token()
    viewers = [seating.seats.take(token) for token in (gone, short, kept)]
    assert seating.seats.revoke(viewers[0].link) and not seating.seats.revoke("unknown")
    assert [viewer.ended for viewer in viewers] == [WatchRefusal.REVOKED, None, None]
    RUNNER.run(asyncio.wait_for(seating.seats.until_ended(viewers[0]), PATIENCE_S))
    seating.at += 60
    seating.seats.let_go()
    assert [viewer.ended for viewer in viewers] == [WatchRefusal.REVOKED, WatchRefusal.EXPIRED, None]


def test_a_viewer_that_falls_silent_is_let_go(tmp_path: Path) -> None:
    seating = Seating(tmp_path)
    viewer = seating.seats.take(seating.token())
    at = viewer.clock()
    viewer.clock = lambda: at
    assert viewer.accepts('{"ping": 1}')
    at += SILENCE_S
    seating.seats.let_go()
    assert viewer.ended is None
    at += 0.1
    assert viewer.accepts('{"nonsense": 1}'), "which is no sign of a page"
    seating.seats.let_go()
    assert viewer.ended is WatchRefusal.SILENT and seating.seats.turned_away == {"silent": 1}


def test_a_viewer_may_choose_nothing_and_is_shown_neither_driver_nor_names(tmp_path: Path) -> None:
    seating = Seating(tmp_path)
    viewer = seating.seats.take(seating.token())
    assert "driver" not in seating.modes, "no driver's image is made for viewers"
    for words in ({"mode": "full"}, {"driver": "sample"}, {"label": False}):
        viewer.accepts(json.dumps(words))
    assert viewer.mode == "roi"
    seating.audience.deliver(bytes([DRIVER]) + b"x")
    seating.audience.deliver(frame(1))
    hello, image = sent(viewer)
    assert image == b"F1" and b"ada" not in image, "whole until the plate is there"
    assert json.loads(hello) == {"hello": {"number": 1, "plate": "", "width": 640, "height": 480}}
    seating.audience.join(console := PreviewViewer())
    assert "driver" in seating.modes
    seating.audience.deliver(bytes([DRIVER]) + b"x")
    assert sent(console) == [bytes([DRIVER]) + b"x"] and sent(viewer) == []


def test_a_slow_viewer_loses_frames_and_another_gets_them_all(tmp_path: Path) -> None:
    seating = Seating(tmp_path)
    token = seating.token()
    slow, quick = seating.seats.take(token), seating.seats.take(token)
    for viewer in (slow, quick):
        viewer.accepts('{"plate": 1}')
    got: dict[WatchViewer, list[str | bytes]] = {slow: [], quick: []}
    for tick in range(1, 21):
        seating.audience.deliver(frame(tick))
        for viewer, messages in got.items():
            messages += [each for each in sent(viewer) if isinstance(each, bytes)]
        quick.accepts('{"ack": 1}')
    assert [each for each in got[quick] if each[:1] == b"R"] == [b"R%d" % tick for tick in range(1, 21)]
    assert len(got[slow]) == IN_FLIGHT + 1, "the label, and what may be on its way"
    assert (quick.dropped, slow.dropped) == (0, 20 - IN_FLIGHT - 1)
    assert seating.audience.totals(operator=False).dropped == slow.dropped
    seating.seats.leave(slow)
    assert seating.audience.totals(operator=False).dropped == slow.dropped, "also when it has left"
    assert seating.audience.totals(operator=True).dropped == 0


def test_a_viewer_far_away_has_as_many_frames_on_the_way_as_its_distance_takes() -> None:
    at = 0.0
    viewer = WatchViewer(rate=25.0, clock=lambda: at)
    trips = ((0.2, 6), (0.5, 6), (0.05, 3), (3.0, 3))
    for trip, expected in trips:
        viewer.offer(frame(1))
        sent(viewer)
        at += trip
        viewer.accepts('{"ack": 1}')
        assert viewer.in_flight == expected, "a longer trip later is a queue, which more frames would lengthen"
    distant = WatchViewer(rate=25.0, clock=lambda: at)
    distant.offer(frame(1))
    sent(distant)
    at += 9
    distant.accepts('{"ack": 1}')
    assert distant.in_flight == MOST_IN_FLIGHT


def test_what_no_page_says_ends_it() -> None:
    at = 100.0
    viewer = WatchViewer(clock=lambda: at)
    assert not viewer.accepts("") and not viewer.accepts('{"ping": "' + "x" * 600 + '"}')
    assert [viewer.accepts("[") for _ in range(MOST_BAD_MESSAGES)] == [True] * (MOST_BAD_MESSAGES - 1) + [False]
    busy = WatchViewer(clock=lambda: at)
    assert all(busy.accepts('{"ping": 1}') for _ in range(MOST_MESSAGES_A_SECOND))
    assert not busy.accepts('{"ping": 1}')
    at += 1
    assert busy.accepts('{"ping": 1}')


def test_the_log_says_what_was_done_with_links_and_not_their_tokens(tmp_path: Path) -> None:
    seating = Seating(tmp_path)
    token = seating.token(viewers=1)
    viewer = seating.seats.take(token)
    seating.seats.revoke(viewer.link)
    texts = [event.text for event in seating.log.events()]
    assert texts == ["A watch link was made for 1 viewer.", "A watch link was revoked; 1 viewer had to leave."]
