"""A scripted bot with a face. It needs a LiveKit server and a studio of your own, and no cloud key and no model.

    python speaking_host.py

It says a WAV file, is interrupted, and says it again, in the room ROOM ("demo"). WAV names the file (16 bit, one
channel); without it the bot hums. The address where it can be watched is printed. In a bot of your own, a speech
service precedes the face, in place of the script.
"""

import asyncio
import math
import os
import struct
import urllib.parse
import wave

from livekit.api import AccessToken, VideoGrants
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.livekit.transport import LiveKitParams, LiveKitTransport
from pipecat.workers.runner import WorkerRunner
from pipecat_personastudio import PersonaStudioVideoService

BLOCK_S = 0.02
INTERRUPT_AFTER_S = 1.0
SIDE_PX = 512


def speech() -> tuple[int, bytes]:
    """Return (rate in Hz, 16-bit samples of one channel)."""
    path = os.getenv("WAV")
    if path:
        with wave.open(path) as file:
            return file.getframerate(), file.readframes(file.getnframes())
    rate = 24_000
    times = [at / rate for at in range(3 * rate)]
    hum = (9000 * math.sin(2 * math.pi * 160 * at) * max(0.0, math.sin(2 * math.pi * 2 * at)) for at in times)
    return rate, b"".join(struct.pack("<h", int(sample)) for sample in hum)


def spoken() -> list[Frame]:
    """Return the speech as the frames that a speech service sends."""
    rate, samples = speech()
    step = int(rate * BLOCK_S) * 2
    blocks = [samples[start : start + step] for start in range(0, len(samples), step)]
    return [TTSStartedFrame(), *(TTSAudioRawFrame(block, rate, 1) for block in blocks), TTSStoppedFrame()]


def token(room: str, identity: str, publishes: bool) -> str:
    """Return an access token for one room."""
    grants = VideoGrants(room_join=True, room=room, can_publish=publishes)
    return AccessToken().with_identity(identity).with_grants(grants).to_jwt()


class Listener(FrameProcessor):
    """Reports when the bot begins and stops speaking."""

    def __init__(self) -> None:
        super().__init__()
        self.speaks, self.silent = asyncio.Event(), asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, BotStartedSpeakingFrame):
            print("the bot speaks", flush=True)
            self.speaks.set()
        elif isinstance(frame, BotStoppedSpeakingFrame):
            print("the bot is silent", flush=True)
            self.silent.set()
        await self.push_frame(frame, direction)


async def play(worker: PipelineWorker, listener: Listener) -> None:
    """Play the script: a greeting, an interruption, a goodbye."""
    for words in ("greeting", "interruption", "goodbye"):
        listener.speaks.clear()
        listener.silent.clear()
        await worker.queue_frames(spoken())
        await listener.speaks.wait()
        listener.silent.clear()
        if words == "interruption":
            await asyncio.sleep(INTERRUPT_AFTER_S)
            await worker.queue_frame(InterruptionFrame())
        await listener.silent.wait()
        print(f"said: {words}", flush=True)
    await worker.queue_frame(EndFrame())


async def main() -> None:
    """Run one bot, from its start to its end."""
    room, url = os.getenv("ROOM", "demo"), os.environ["LIVEKIT_URL"]
    query = urllib.parse.urlencode({"liveKitUrl": url, "token": token(room, "viewer", publishes=False)})
    print(f"watch: https://meet.livekit.io/custom?{query}", flush=True)
    params = LiveKitParams(
        audio_out_enabled=True,
        video_out_enabled=True,
        video_out_is_live=True,
        video_out_width=SIDE_PX,
        video_out_height=SIDE_PX,
    )
    transport = LiveKitTransport(url=url, token=token(room, "bot", publishes=True), room_name=room, params=params)
    face, listener = PersonaStudioVideoService(width=SIDE_PX, height=SIDE_PX), Listener()
    worker = PipelineWorker(Pipeline([listener, face, transport.output()]))
    runner = WorkerRunner()
    await runner.add_workers(worker)

    @worker.event_handler("on_pipeline_started")  # type: ignore[untyped-decorator]
    async def begin(worker: PipelineWorker, _: Frame) -> None:
        asyncio.get_running_loop().create_task(play(worker, listener))

    await runner.run()


if __name__ == "__main__":
    asyncio.run(main())
