"""A voice sent before capture passes it on would be lost: the queue holds it until then, but not longer."""

import asyncio
import time

import pytest

from harness.channel import PATIENCE_S, wait_for
from services.gateway.channel import speech_queue
from services.gateway.channel.event_log import EventLog
from services.gateway.channel.speech_queue import LEAD_US, START_WAIT_US, SWITCH_WAIT_US, TEXT_LEAD_US, SpeechQueue
from shared.runtime.clock import US, now
from shared.wire.message import Message
from shared.wire.pulse import Pulse
from tests.support.files.sound_files import tone, wav
from tests.support.running.gateway_app import GatewayApp


class WaitingQueue:
    """A queue whose voice is passed on once `passed_on` is set. sent: pts of the blocks sent."""

    def __init__(self) -> None:
        self.passed_on = False
        self.sent: list[int] = []
        self.speech = SpeechQueue(
            EventLog(), lambda pts, _: self.sent.append(pts), self.sent.clear, lambda: 0, lambda: self.passed_on
        )

    def say(self, *, patient: bool) -> None:
        """Queue an utterance that is complete from the start."""

        async def fill() -> None:
            utterance = self.speech.add("a", patient=patient)
            await utterance.write(tone(0.3))
            utterance.finish()

        asyncio.run(fill())


@pytest.mark.unit
@pytest.mark.parametrize(("patient", "lead"), [(True, TEXT_LEAD_US), (False, LEAD_US)])
def test_nothing_leaves_before_it_is_passed_on(patient: bool, lead: int) -> None:
    queue, at = WaitingQueue(), now()
    queue.say(patient=patient)
    queue.speech.pump(at)
    assert not queue.sent
    queue.passed_on = True
    queue.speech.pump(at + US)
    assert queue.sent[0] == at + US + lead
    queue.passed_on = False  # an utterance that has begun continues
    queue.speech.pump(at + US + 50_000)
    assert len(queue.sent) > 6


@pytest.mark.unit
def test_what_never_comes_is_not_waited_for_any_longer() -> None:
    queue = WaitingQueue()
    queue.say(patient=True)
    queue.speech.pump(now() + START_WAIT_US + 1)
    assert queue.sent
    queue.speech.driver_changed()
    assert SWITCH_WAIT_US < START_WAIT_US


@pytest.mark.unit
def test_a_voice_waits_until_capture_has_the_driver(inside: GatewayApp, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway, sent = inside.gateway, list[int]()
    monkeypatch.setattr(speech_queue, "SWITCH_WAIT_US", 3600 * US)
    monkeypatch.setattr(gateway.speech, "_send", lambda pts, _: sent.append(pts))

    def hear(revision: int) -> None:
        """Receive a pulse in which capture reports the revision of the scene it uses."""
        told = Pulse("capture", 1, 25.0, 0.0, 0.0, {}, "live", "", revision, 1 << 20).as_dict()
        gateway.health.receive_pulse(Message("pulse", "main", 0, 0, 0, 0, facts=told))

    hear(gateway.scene_store.scene.revision)
    files = {"audio": ("a.wav", wav(tone(0.3)))}
    assert inside.client.post(f"{inside.channel}/speech", files=files, headers=inside.bearer).status_code == 201
    assert gateway.scene_store.scene.driver == "speech"
    time.sleep(0.2)
    assert not sent, "capture has the driver before"
    heard = now()
    hear(gateway.scene_store.scene.revision)
    wait_for(lambda: sent, PATIENCE_S, "it is sent")
    assert sent[0] > heard
    (ended,) = wait_for(lambda: inside.get(f"{inside.channel}/speech")["recent"], PATIENCE_S, "it has ended")
    assert ended["seconds"] == pytest.approx(0.3, abs=0.01)
