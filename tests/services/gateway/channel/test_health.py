"""Channel health in the console: one word and a log of changes, from pulses and frames on a driven clock."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from services.gateway.channel import health
from services.gateway.channel.event_log import EventLog
from services.gateway.channel.health import (
    FROZEN_AFTER_US,
    HISTORY_S,
    SERVICES,
    SILENT_AFTER_US,
    ChannelHealth,
    delay_of,
)
from services.gateway.channel.program_feed import ProgramFeed
from shared.runtime.clock import US, tick_after, tick_pts
from shared.scene import Scene
from shared.wire.message import Message, WireError
from shared.wire.program import ProgramFrame
from shared.wire.pulse import Pulse

pytestmark = pytest.mark.unit

DELAY = {"frames": 4, "calls": 2, "interval_ms": 40.0, "call_ms": 90.0, "floor_ms": 250.0, "ms": 260.5}


def pulse(service: str = "generator", **changes: Any) -> Message:
    told = Pulse(service, 100, 25.04, 20.04, 30.0, {}, "live", "", 0, 1 << 20).as_dict()
    return Message("pulse", "main", 0, 0, 0, 0, facts=told | changes)


class DrivenChannel:
    """Health of a channel on a clock that the test drives, with the pulses and frames that arrive meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = 1000 * US
        monkeypatch.setattr(health, "now", lambda: self.at)
        self.event_log, self.feed = EventLog(), ProgramFeed(Fraction(25), lambda: self.at)
        self.health = ChannelHealth(self.event_log, self.feed)
        self.scene = Scene()
        self.state: str | None = "live"  # state of the arriving frames; None: no frames arrive
        self.alive = list(SERVICES)
        self.pulses: dict[str, dict[str, Any]] = {}

    def pass_time(self, seconds: float = 1.0) -> None:
        """Advance the clock; each second has 4 judgements, 2 pulses of each service and 20 frames, gaps filled."""
        for step in range(round(seconds * 20)):
            self.at += US // 20
            if step % 10 == 0:
                for name in self.alive:
                    self.health.receive_pulse(pulse(name, **self.pulses.get(name, {})))
            if self.state is not None:
                tick = tick_after(self.at, self.feed.rate) - 1
                i420 = np.zeros((48, 32), np.uint8)
                at = tick_pts(tick, self.feed.rate)
                self.feed.frame(ProgramFrame(tick, at, i420, "a", 0, None, False, self.state, 0))
            self.feed.fill(self.at)
            if step % 5 == 0:
                self.health.judge(self.scene)

    @property
    def word(self) -> str:
        return self.health.word

    def said(self) -> list[tuple[str, str]]:
        return [(event.kind, event.text) for event in self.event_log.events()]


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> DrivenChannel:
    return DrivenChannel(monkeypatch)


def test_the_word_follows_the_program(channel: DrivenChannel) -> None:
    channel.state = None
    channel.pass_time()
    assert channel.word == "STARTING"
    channel.state = "live"
    channel.pass_time()
    assert channel.word == "ON AIR"
    channel.state = "plate"
    channel.pass_time()
    assert channel.word == "IDLE"
    channel.state = "live"
    channel.pass_time()
    assert channel.word == "ON AIR"
    channel.scene = channel.scene.changed(on_air=False)
    channel.pass_time()
    assert channel.word == "OFF"
    assert channel.said() == [
        ("info", "On air."), ("warning", "Driver lost, idle."), ("info", "Driver found, on air."), ("info",
        "Off air."),
    ]  # fmt: skip


def test_the_same_state_is_noted_once(channel: DrivenChannel) -> None:
    channel.pass_time(10)
    since = channel.health.since
    channel.pass_time(10)
    assert channel.said() == [("info", "On air.")] and channel.health.since == since


@pytest.mark.parametrize("service", ["capture", "generator", "compositor"])
def test_a_service_that_is_silent_is_named_and_so_is_its_return(channel: DrivenChannel, service: str) -> None:
    channel.pass_time(3)
    channel.alive.remove(service)
    channel.pass_time(SILENT_AFTER_US / US + 1)
    assert channel.word == "RECOVERING" and channel.health.rows()[service].state == "recovering"
    assert {row.state for name, row in channel.health.rows().items() if name != service} == {"live"}
    assert (channel.health.rows()[service].age or 0) > SILENT_AFTER_US / US
    channel.alive.append(service)
    channel.pass_time(2)
    assert channel.word == "ON AIR"
    assert channel.said()[1:] == [
        ("warning", f"{service} does not answer; it is being restarted."),
        ("warning", "Recovering: the last frame is shown."), ("info", f"{service} is back."), ("info", "On air."),
    ]  # fmt: skip


def test_a_short_silence_is_none(channel: DrivenChannel) -> None:
    channel.pass_time(3)
    channel.alive.clear()
    channel.pass_time(1.4)
    assert channel.word == "ON AIR"


def test_a_program_without_frames_is_not_on_air_whatever_the_services_say(channel: DrivenChannel) -> None:
    channel.pass_time(3)
    channel.state = None
    channel.pass_time(FROZEN_AFTER_US / US + 0.5)
    assert channel.word == "RECOVERING" and {row.state for row in channel.health.rows().values()} == {"live"}
    channel.state = "live"
    channel.pass_time(2)
    assert channel.word == "ON AIR"


@pytest.mark.parametrize(("driver", "facts"), [("speech", {}), ("microphone", {}), ("sample", {"voice": True})])
def test_a_host_that_waits_for_its_voice_is_on_air(channel: DrivenChannel, driver: str, facts: dict[str, Any]) -> None:
    channel.scene = channel.scene.changed(driver=driver)
    channel.pulses["capture"] = {"facts": facts}
    channel.state = "idle"
    channel.pass_time(2)
    assert channel.word == "ON AIR" and channel.health.by_voice(channel.scene)


def test_a_host_without_a_face_is_idle(channel: DrivenChannel) -> None:
    channel.state = "idle"
    channel.pass_time(2)
    assert channel.word == "IDLE" and not channel.health.by_voice(channel.scene)
    assert channel.said() == [("warning", "Idle: no face in the driver yet.")]


def test_a_note_is_shown_when_it_changes_and_not_again(channel: DrivenChannel) -> None:
    channel.pulses["generator"] = {"note": "Weights are missing."}
    channel.pass_time(5)
    channel.pulses["generator"] = {"note": ""}
    channel.pass_time(2)
    channel.pulses["generator"] = {"note": "Weights are missing."}
    channel.pass_time(2)
    notes = [text for kind, text in channel.said() if text == "generator: Weights are missing." and kind == "warning"]
    assert len(notes) == 2 and channel.health.rows()["generator"].note == "Weights are missing."


@pytest.mark.parametrize(
    "changes", [{"service": "faces"}, {"service": "evil"}, {"pid": "1"},
                {"fps": 25}, {"drops": []}, {"drops": {"a": 1.5}},
                {"drops": {"a": True}}, {"note": None}, {"facts": "x"}, {"scene": None}],
)  # fmt: skip
def test_a_pulse_that_is_none_changes_nothing(channel: DrivenChannel, changes: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        channel.health.receive_pulse(pulse(**changes))
    assert channel.health.heard == {} and channel.health.scene_of("generator") == -1


def test_drops_are_a_rate_over_the_last_seconds(channel: DrivenChannel) -> None:
    channel.pulses["generator"] = {"drops": {"frame late": 7}}
    channel.pass_time(15)
    row = channel.health.rows()["generator"]
    assert (row.drop_rate, row.drops) == (0.0, {"frame late": 7}), "what was dropped long ago is no rate"
    for second in range(1, 11):
        channel.pulses["generator"] = {"drops": {"frame late": 7 + 3 * second, "face stale": second}}
        channel.pass_time(1)
    row = channel.health.rows()["generator"]
    assert row.drop_rates == {"frame late": pytest.approx(3, abs=0.4), "face stale": pytest.approx(1, abs=0.2)}
    assert row.drop_rate == pytest.approx(sum(row.drop_rates.values()), abs=0.11)


def test_a_process_that_counts_from_zero_has_no_negative_rate(channel: DrivenChannel) -> None:
    channel.pulses["generator"] = {"drops": {"frame late": 500}}
    channel.pass_time(5)
    channel.pulses["generator"] = {"drops": {"frame late": 2}, "pid": 101}
    channel.pass_time(2)
    assert channel.health.rows()["generator"].drop_rates == {}
    channel.pulses["generator"] = {"drops": {"frame late": 9}, "pid": 101}
    channel.pass_time(2)
    assert channel.health.rows()["generator"].drop_rates["frame late"] > 1, "its own are counted from its start"


def test_history_is_a_minute_a_value_a_second(channel: DrivenChannel) -> None:
    for second in range(HISTORY_S + 20):
        channel.pulses["generator"] = {"fps": float(second)}
        channel.pass_time(1)
    history = channel.health.rows()["generator"].history
    assert len(history.fps) == len(history.p50) == len(history.p95) == HISTORY_S
    assert set(np.diff(history.fps)) <= {0.0, 1.0, 2.0} and history.fps[-1] >= HISTORY_S + 17, "the newest is last"


def test_a_service_that_was_never_heard_is_starting(channel: DrivenChannel) -> None:
    row = channel.health.rows()["capture"]
    assert (row.state, row.age, row.fps, row.history.fps) == ("starting", None, 0.0, [])
    assert channel.health.service_facts("capture") == {} and channel.health.delays() == []


def test_an_engines_delay_is_kept_while_it_says_one(channel: DrivenChannel) -> None:
    channel.pulses["generator"] = {"facts": {"delay": DELAY}}
    channel.pass_time(5)
    assert len(channel.health.delays()) >= 4 and set(channel.health.delays()) == {260.5}
    channel.pulses["generator"] = {"facts": {}}
    channel.pass_time(2)
    assert channel.health.delays() == [], "another engine has none"


@pytest.mark.parametrize(
    "told",
    [None, [], 5, {}, DELAY | {"ms": "260"}, DELAY | {"ms": True}, {k: v for k, v in DELAY.items() if k != "calls"}],
)
def test_a_delay_that_is_none_is_no_delay(told: object) -> None:
    assert delay_of({"delay": told}) is None
    found = delay_of({"delay": DELAY | {"more": 1}})
    assert found is not None and (found.ms, found.floor_ms, found.frames) == (260.5, 250.0, 4)


@pytest.mark.parametrize(
    ("facts", "needed"),
    [
        ({}, True), ({"engines": []}, True), ({"engines": {"mesh": 5}, "needs_image": False}, True),
        ({"engines": {"mesh": {"needs_image": False}}, "needs_image": False}, False),
        ({"engines": {"mesh": {"needs_image": True}}, "needs_image": False}, True),
        ({"engines": {"mesh": {"needs_image": False}}, "needs_image": True}, True),
        ({"engines": {"mesh": {"needs_image": False}}}, True), ({"engines": {"other": {}}, "needs_image": False}, True),
    ],
)  # fmt: skip
def test_the_drivers_image_is_spared_only_where_no_engine_needs_it(
    channel: DrivenChannel, facts: dict[str, Any], needed: bool
) -> None:
    """Neither the engine on air nor the wanted engine may need the image; an unknown engine counts as needing it."""
    channel.health.receive_pulse(pulse(facts=facts))
    assert channel.health.needs_driver_image(Scene(engine="mesh")) is needed


def test_recorded_motion_is_called_by_its_name(channel: DrivenChannel) -> None:
    channel.scene = Scene(driver="motion:/home/wave.npz")
    channel.state = "plate"
    channel.pass_time(1)
    channel.state = "live"
    channel.pass_time(1)
    assert [text for _, text in channel.said()] == [
        "Idle: the recorded motion shows no face.", "The recorded motion moves the host, on air.",
    ]  # fmt: skip
