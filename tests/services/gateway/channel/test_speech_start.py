"""A voice that is sent before anything passes it on would be lost: it waits, and no longer than that."""

import asyncio
from typing import Any

import pytest
import zmq

from services.gateway.channel.event_log import EventLog
from services.gateway.channel.speech_queue import LEAD_US, START_WAIT_US, SWITCH_WAIT_US, TEXT_LEAD_US, SpeechQueue
from shared.runtime.clock import SOUND_RATE_HZ, US, now
from shared.scene import Scene
from shared.wire.bus import Reader, endpoint
from tests.support.files.sound_files import tone, wav
from tests.support.running.gateway import GatewayStudio

SETTLED_US = 200_000  # after a change of the driver: by then a voice is on its way


class WaitingQueue:
    """A queue whose voice is passed on once `passed_on` is true. sent: pts of what has left."""

    def __init__(self) -> None:
        self.passed_on = False
        self.sent: list[int] = []
        self.speech = SpeechQueue(
            EventLog(), lambda pts, _: self.sent.append(pts), self.sent.clear, lambda: 0, lambda: self.passed_on
        )

    def say(self, *, patient: bool) -> None:
        """An utterance that is there at once."""

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
    queue.passed_on = False  # what has begun goes on
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


def test_a_voice_waits_until_capture_has_the_driver(running: GatewayStudio) -> None:
    program, context = running.channel, zmq.Context[Any]()
    reader = Reader(context, endpoint(running.settings.run_dir, "remote"), "remote", "main", newest=False)
    running.patch(driver="sample")
    revision = running.state()["scene"]["revision"]
    running.wait(lambda: program.scene and program.scene.revision >= revision)
    program.deaf = True
    try:
        assert running.http.post("/channels/main/speech", files={"audio": ("a.wav", wav(tone(0.3)))}).status_code == 201

        def scene() -> Scene | None:
            return program.scene if program.scene and program.scene.driver == "speech" else None

        running.wait(scene)
        asked = now()
        running.wait(lambda: now() > asked + SETTLED_US)
        program.deaf, heard = False, now()
        came = running.wait(lambda: [each for each in reader.read() if each.facts["kind"] == "sound"])
        assert came[0].pts > heard
        ends = running.wait(lambda: running.state()["speech"]["recent"])
        assert ends[0]["seconds"] == pytest.approx(len(tone(0.3)) / SOUND_RATE_HZ, abs=0.01)
    finally:
        program.deaf = False
        running.http.post("/channels/main/speech/interrupt")
        running.patch(driver="sample")
        reader.close()
        context.term()
