"""Captions burnt into the frames while they are heard, for outputs that carry no text beside the video."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from compositing import caption
from harness.channel import PATIENCE_S
from services.gateway.channel.burnt_captions import BurntCaptions
from services.gateway.channel.captions import Caption
from services.gateway.channel.event_log import EventLog
from services.gateway.channel.program_feed import OutputQueue, ProgramFeed
from shared.errors import StudioError
from shared.runtime.clock import tick_pts
from shared.wire.program import ProgramFrame
from tests.support.running.program_ticks import make_frame

pytestmark = pytest.mark.unit
RATE = Fraction(25)
TICK_US = 40_000
SIZE = 320, 240


def frame(tick: int, *, label: bool = False) -> ProgramFrame:
    i420 = np.full((SIZE[1] * 3 // 2, SIZE[0]), 128, np.uint8)
    i420.flags.writeable = False
    return replace(make_frame(tick), pts=tick_pts(tick, RATE), i420=i420, label=label)


@pytest.fixture
def burnt() -> Iterator[BurntCaptions]:
    made = BurntCaptions(EventLog(), TICK_US)
    made.want(True)
    made.overlay(frame(1))  # the captions take the program's size from this frame
    yield made
    made.close()


def drawn(burnt: BurntCaptions) -> None:
    """Wait until everything submitted for drawing has been drawn."""
    burnt._pen.submit(lambda: None).result(PATIENCE_S)


def test_it_is_on_the_frames_between_first_and_last_sound_to_half_a_tick(burnt: BurntCaptions) -> None:
    start, end = 10 * TICK_US + 5_000, 20 * TICK_US + 25_000
    burnt.expect("A sentence.")
    drawn(burnt)
    burnt.hear(Caption("a", "A sentence.", start, None, "started"))
    assert [tick for tick in range(5, 30) if burnt.overlay(frame(tick))] == list(range(10, 30))
    burnt.hear(Caption("a", "A sentence.", start, end, "ended"))
    assert [tick for tick in range(5, 30) if burnt.overlay(frame(tick))] == list(range(10, 21))


def test_an_interrupted_one_keeps_its_letters_and_ends(burnt: BurntCaptions) -> None:
    burnt.expect("One two three.")
    drawn(burnt)
    burnt.hear(Caption("a", "One two three.", 0, None, "started"))
    whole = burnt.overlay(frame(5))
    burnt.hear(Caption("a", "One…", 0, 10 * TICK_US, "interrupted"))
    assert whole and burnt.overlay(frame(5)) is whole and burnt.overlay(frame(10)) is None


def test_pages_follow_the_sound_once_its_end_is_known(burnt: BurntCaptions) -> None:
    text = "A sentence that is so long that nothing but pages can show it, one after the other, in two lines. " * 2
    burnt.expect(text)
    drawn(burnt)
    burnt.hear(Caption("a", text, 0, 100 * TICK_US, "started"))
    seen = [burnt.overlay(frame(tick)) for tick in range(100)]
    changes = [tick for tick in range(1, 100) if seen[tick] is not seen[tick - 1]]
    assert None not in seen and len(changes) == len({id(each) for each in seen}) - 1 > 0


def test_off_it_draws_nothing_at_all(burnt: BurntCaptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.channel.burnt_captions.caption_pages", lambda *_: pytest.fail("drawn"))
    burnt.want(False)
    burnt.expect("A sentence.")
    burnt.hear(Caption("a", "A sentence.", 0, None, "started"))
    assert burnt.overlay(frame(1)) is None and not burnt._pages


def test_drawing_holds_up_neither_the_program_nor_the_queue(
    burnt: BurntCaptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, real = threading.Event(), caption.caption_pages

    def slow(text: str, width: int, height: int) -> tuple[caption.CaptionPage, ...]:
        assert go.wait(PATIENCE_S)
        return real(text, width, height)

    monkeypatch.setattr("services.gateway.channel.burnt_captions.caption_pages", slow)
    burnt.hear(Caption("a", "A sentence.", 0, None, "started"))
    assert burnt.overlay(frame(1)) is None
    go.set()
    drawn(burnt)
    assert burnt.overlay(frame(2))


def test_what_cannot_be_drawn_is_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> tuple[caption.CaptionPage, ...]:
        raise StudioError("No font here.")

    monkeypatch.setattr("services.gateway.channel.burnt_captions.caption_pages", refuse)
    log = EventLog()
    burnt = BurntCaptions(log, TICK_US)
    burnt.want(True)
    burnt.overlay(frame(1))
    for text in "ab":
        burnt.expect(text)
    drawn(burnt)
    burnt.hear(Caption("a", "a", 0, None, "started"))
    assert burnt.overlay(frame(1)) is None and [event.text for event in log.events()] == ["No font here."]
    burnt.close()


@pytest.mark.parametrize("label", [True, False])
def test_outputs_without_text_beside_them_have_it_and_no_others(burnt: BurntCaptions, label: bool) -> None:
    program = ProgramFeed(RATE, clock=lambda: tick_pts(100, RATE), caption=burnt.overlay)
    record, push, pages, clean = program.outlets = [OutputQueue(name, frames=100, sounds=1) for name in "abcd"]
    pages.captions, clean.clean = False, True
    burnt.expect("A sentence.")
    drawn(burnt)
    burnt.hear(Caption("a", "A sentence.", 0, None, "started"))
    sent = frame(10, label=label)
    program.frame(sent)
    program._repeat_frames(12)  # the repeated frames share the copy with the caption
    first, second, text, bare = (outlet.drain(0) for outlet in (record, push, pages, clean))
    for each in (*first, *second, *text, *bare):
        assert isinstance(each, ProgramFrame)
    (burnt_in, repeated), (again, _), (shown, _), (came, _) = first, second, text, bare
    assert isinstance(burnt_in, ProgramFrame) and isinstance(repeated, ProgramFrame) and isinstance(again, ProgramFrame)
    assert isinstance(shown, ProgramFrame) and isinstance(came, ProgramFrame)
    assert came.i420 is sent.i420 and burnt_in.i420 is again.i420 is repeated.i420
    assert (shown.i420 is sent.i420) is not label and (burnt_in.label_box is not None) is label
    wanted = shown.i420.copy()
    overlay = burnt.overlay(sent)
    assert overlay
    overlay.draw(wanted)
    assert np.array_equal(burnt_in.i420, wanted) and not np.array_equal(wanted, shown.i420)
