"""A real Pipecat pipeline with a face that reports what happens; it runs in a separate environment.

Usage: `python pipecat_bot.py ROOM`. STEPS in the environment: "say" speaks to its end, "interrupt" is cut off after 2.5
of ten seconds, "long" speaks for six seconds, "pause" waits until the file GO_ON has one byte more, and "wait" waits
for silence and frames of the avatar. Prints one JSON object a line, after "BOT ".
"""

import asyncio
import json
import math
import os
import struct
import sys
import time
from pathlib import Path

from livekit.api import AccessToken, VideoGrants
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    OutputImageRawFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.livekit.transport import LiveKitParams, LiveKitTransport
from pipecat.workers.runner import WorkerRunner
from pipecat_personastudio import PersonaStudioVideoService, studio

RATE = 24_000
PATIENCE_S = 60.0  # for avatar and studio, which are slow on a busy machine, but not gone
SECONDS = {"say": 1.0, "interrupt": 10.0, "long": 6.0}


def say(**facts: object) -> None:
    line = json.dumps({"at": time.monotonic(), **facts})
    os.write(1, f"BOT {line}\n".encode())  # in one write, so that no other output splits the line


def tone(seconds: float) -> list[Frame]:
    samples = [int(9000 * math.sin(2 * math.pi * 300 * at / RATE)) for at in range(int(RATE * seconds))]
    blocks = [samples[start : start + RATE // 50] for start in range(0, len(samples), RATE // 50)]
    frames = [TTSAudioRawFrame(struct.pack(f"<{len(block)}h", *block), RATE, 1) for block in blocks]
    return [TTSStartedFrame(), *frames, TTSStoppedFrame()]


class Ears(FrameProcessor):
    """Reports frames that come upstream, from the face and the transport."""

    def __init__(self) -> None:
        super().__init__()
        self.silent, self.began = asyncio.Event(), asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, BotStartedSpeakingFrame):
            self.silent.clear()
            self.began.set()
            say(event="started")
        elif isinstance(frame, BotStoppedSpeakingFrame):
            self.silent.set()
            say(event="stopped")
        elif isinstance(frame, ErrorFrame):
            say(event="error", why=str(frame.error))
        await self.push_frame(frame, direction)


class Stops(FrameProcessor):
    """Notes what comes out of the face: the stop of a speech, the number of its sound frames, and an image."""

    def __init__(self) -> None:
        super().__init__()
        self.came, self.sound, self.image = asyncio.Event(), 0, asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSStoppedFrame):
            self.came.set()
        elif isinstance(frame, OutputImageRawFrame):
            self.image.set()
        self.sound += isinstance(frame, TTSAudioRawFrame)
        await self.push_frame(frame, direction)


async def play(worker: PipelineWorker, ears: Ears, stops: Stops) -> None:
    pauses = 0
    for step in os.environ["STEPS"].split():
        if step == "pause":
            say(event="pause")
            pauses += 1
            while len(Path(os.environ["GO_ON"]).read_bytes()) < pauses:  # noqa: ASYNC110 - another process ends it
                await asyncio.sleep(0.05)
            continue
        if step == "wait":
            await asyncio.sleep(1.0)
            await ears.silent.wait()
            stops.image.clear()
            await stops.image.wait()
            continue
        stops.came.clear()
        ears.began.clear()
        stops.sound = 0
        await worker.queue_frames(tone(SECONDS[step]))
        say(event="asked", step=step)
        if step == "interrupt":
            await ears.began.wait()
            await asyncio.sleep(2.5)
            await worker.queue_frame(InterruptionFrame())
            await asyncio.sleep(0.5)
        else:
            await stops.came.wait()
        say(event="said", step=step, through=stops.sound)
    await worker.queue_frame(EndFrame())


async def main() -> None:
    url, room = os.environ["LIVEKIT_URL"], sys.argv[1]
    token = AccessToken().with_identity("bot").with_grants(VideoGrants(room_join=True, room=room)).to_jwt()
    params = LiveKitParams(
        audio_out_enabled=True,
        video_out_enabled=True,
        video_out_is_live=True,
        video_out_width=256,
        video_out_height=256,
    )
    transport = LiveKitTransport(url=url, token=token, room_name=room, params=params)
    studio.ASK_S = PATIENCE_S
    face = PersonaStudioVideoService(width=256, height=256, join_timeout=PATIENCE_S)
    ears, stops = Ears(), Stops()
    worker = PipelineWorker(Pipeline([ears, face, stops, transport.output()]))
    runner = WorkerRunner()
    await runner.add_workers(worker)

    @worker.event_handler("on_pipeline_started")
    async def begin(worker: PipelineWorker, _: Frame) -> None:
        asyncio.get_running_loop().create_task(play(worker, ears, stops))

    await runner.run()
    say(event="done")


if __name__ == "__main__":
    asyncio.run(main())
