"""Engines that never finish a frame or never finish opening: the service keeps running and gets rid of them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engines.guarded import GuardedSession
from shared.config.settings import Settings
from shared.runtime.clock import now
from shared.scene import OptionValue, Scene
from tests.support.engines.slow_engines import ENGINES, UNLUCKY, HeavySession, LadderOptions, LadderSession, red
from tests.support.running.generator import GeneratorChannel


@pytest.fixture
def channel(live_home: Path, run_root: Path) -> Iterator[GeneratorChannel]:
    HeavySession.under_way.clear()
    HeavySession.released.clear()
    made = GeneratorChannel(Settings(run_root=run_root, home=live_home, engines=ENGINES))
    made.wanted = Scene(driver="browser")
    yield made
    made.close()
    HeavySession.released.set()


def test_a_frame_that_never_ends_holds_up_neither_the_pulse_nor_the_next_engine(channel: GeneratorChannel) -> None:
    pulses = list[str]()
    channel.generator.loop.before_pulse(lambda: pulses.append(channel.generator.loop.meter.state))
    channel.wanted = Scene(driver="browser", engine="heavy")
    channel.turn(HeavySession.under_way.is_set)
    pulses.clear()
    channel.turn(lambda: len(pulses) >= 3)  # a loop that waited for the frame would never pulse again
    channel.faces.clear()
    channel.wanted = Scene(driver="browser", engine="mesh")
    channel.turn(lambda: bool(channel.faces))
    assert not red(channel.faces[-1])


def test_a_voice_that_is_never_answered_holds_up_neither_the_pulse_nor_the_next_engine(
    channel: GeneratorChannel,
) -> None:
    meter = channel.generator.loop.meter
    channel.wanted = Scene(driver="speech", engine="drawl")
    channel.turn(HeavySession.under_way.is_set)
    channel.turn(lambda: meter.drops["voice block skipped"] > 0)  # the queue is bounded, and drops are counted
    channel.faces.clear()
    channel.wanted = Scene(driver="speech", engine="mesh")
    channel.turn(lambda: bool(channel.faces))
    assert {message.facts["driven"] for message in channel.faces} == {"voice"}


def test_an_opening_that_never_ends_is_given_up_for_another_engine(channel: GeneratorChannel) -> None:
    meter = channel.generator.loop.meter
    channel.turn(lambda: bool(channel.faces))
    channel.wanted = Scene(driver="browser", engine="stuck")
    channel.turn(HeavySession.under_way.is_set)
    assert meter.state == "opening" and not red(channel.faces[-1])
    channel.wanted = Scene(driver="browser", engine="slow")
    channel.turn(lambda: red(channel.faces[-1]))


def test_memory_that_runs_out_while_it_opens_costs_a_rung_and_the_note_stays_until_another_engine(
    channel: GeneratorChannel,
) -> None:
    meter = channel.generator.loop.meter
    channel.wanted = Scene(driver="browser", engine="ladder")
    channel.turn(lambda: bool(channel.faces) and red(channel.faces[-1]))
    said = "Ladder goes on with half."
    assert meter.note == said
    channel.turn(lambda: meter.facts.get("quality") == {"name": "half", "title": "256 pixels"})
    channel.voice.send(now(), np.zeros(48, np.int16), "s16", facts={"drives": True})
    channel.turn(lambda: "moved by a face" in meter.note)
    channel.voice.send(now(), np.zeros(48, np.int16), "s16", facts={"drives": False})
    channel.turn(lambda: meter.note == said)
    channel.wanted = Scene(driver="browser", engine="mesh")
    channel.turn(lambda: meter.note == "" and "quality" not in meter.facts)


def ladder(**options: OptionValue) -> Scene:
    return Scene(driver="browser", engine="ladder", options=options)


def test_the_scenes_options_are_the_sessions_and_taken_over_without_opening_it_again(channel: GeneratorChannel) -> None:
    meter = channel.generator.loop.meter
    channel.wanted = ladder(quality="half")
    session = opened(channel)
    assert session.options.quality == "half" and meter.note == "", "that is what there is memory for"
    channel.wanted = ladder()
    channel.turn(lambda: session.applied == ["auto"] and meter.note == "Ladder goes on with half.")
    channel.wanted = ladder(quality="half")
    channel.turn(lambda: session.applied == ["auto", "half"] and meter.note == "")
    assert opened(channel) is session and meter.state != "opening"


def test_options_that_are_not_taken_over_on_air_open_the_engine_again(channel: GeneratorChannel) -> None:
    channel.wanted = ladder(quality="half", seed=1)
    session = opened(channel)
    first = channel.generator._opened
    channel.wanted = ladder(quality="half", seed=2)
    channel.turn(lambda: channel.generator._opened is not first)
    assert opened(channel).options == LadderOptions(quality="half", seed=2) and session.applied == []
    channel.faces.clear()
    channel.turn(lambda: bool(channel.faces))


def test_options_that_cannot_be_had_leave_the_engine_on_air_and_say_why(channel: GeneratorChannel) -> None:
    meter = channel.generator.loop.meter
    channel.wanted = ladder(quality="half", colour="red")  # as in a scene saved by another version
    session = opened(channel)
    assert session.options == LadderOptions()
    channel.turn(lambda: "Ladder has no option 'colour'" in meter.note)
    channel.wanted = ladder(quality="quarter")
    channel.turn(lambda: "Option 'quality' of Ladder" in meter.note)
    assert opened(channel) is session and session.applied == []
    channel.wanted = ladder(quality="half", seed=UNLUCKY)
    channel.turn(lambda: meter.note == "Ladder has no seed 13. Ladder goes on with half.")
    assert opened(channel).options == LadderOptions() and meter.state != "failed"
    channel.wanted = ladder(quality="half")
    channel.turn(lambda: opened(channel).quality == "half" and meter.note == "")


def test_memory_that_runs_out_for_good_is_reported_and_another_quality_tries_again(channel: GeneratorChannel) -> None:
    meter = channel.generator.loop.meter
    channel.wanted = Scene(driver="browser", engine="ladder")
    opened(channel).taken = True
    channel.turn(lambda: meter.state == "failed")
    assert meter.note == "The GPU has too little memory."
    channel.faces.clear()
    channel.wanted = ladder(quality="half")
    channel.turn(lambda: bool(channel.faces) and meter.note == "")


def test_memory_that_runs_out_while_an_avatar_is_read_has_it_done_with_less(channel: GeneratorChannel) -> None:
    channel.wanted = Scene(driver="browser", engine="tight")
    channel.turn(lambda: bool(channel.faces) and red(channel.faces[-1]))
    assert "little free memory" in channel.generator.loop.meter.note


def opened(channel: GeneratorChannel) -> LadderSession:
    """Return the session once it is on air."""
    channel.turn(lambda: channel.generator._opened is not None)
    guarded = channel.generator._opened.session  # type: ignore[union-attr]
    assert isinstance(guarded, GuardedSession)
    session = guarded.session
    assert isinstance(session, LadderSession)
    return session
