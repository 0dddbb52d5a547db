"""A voice bot in a separate process and environment, and a listener that tells who is heard in its room."""

import asyncio
import json
import os
import signal
import tempfile
import time
import uuid
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from livekit import rtc

from harness.sessions.session_studio import SessionStudio
from harness.sessions.voice_agent import LOUD, buzz, room_token
from services.local.livekit_server import LiveKitServer
from tests.support.running.gateway import ROOT

INTEGRATIONS = ROOT / "integrations"
WAIT_S = 180.0
BLOCK_S = 0.01  # of sound as a room's SDK gives it
SCENE_S = 400.0  # below the time limit of a test, so that a failure shows what the bot printed


@dataclass(slots=True)
class RoomEars:
    """Participant that hears and sees everyone in a room.

    loud: by identity, monotonic times of loud blocks of BLOCK_S. still: by identity, number of silent blocks since the
    last loud one. frames: by identity, number of frames that show something. gone: identities that have left.
    """

    still: dict[str, int] = field(default_factory=dict)
    loud: dict[str, list[float]] = field(default_factory=dict)
    frames: dict[str, int] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    room: rtc.Room = field(default_factory=rtc.Room)
    tasks: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)  # by track

    async def connect(self, server: LiveKitServer, room: str) -> None:
        self.room.on("track_subscribed", self._subscribed)
        self.room.on("track_unsubscribed", lambda track, publication, who: self._end(track.sid))
        self.room.on("participant_disconnected", lambda who: self.gone.append(who.identity))
        await self.room.connect(server.url, room_token(server, room, "ears"))

    async def close(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await self.room.disconnect()

    def heard(self, identity: str, since: float, until: float) -> bool:
        """Whether a participant was loud in between."""
        return any(since <= at < until for at in self.loud.get(identity, ()))

    def heard_seconds(self, identity: str, since: float = 0.0) -> float:
        """Return the seconds of loud sound, by the sound's own time."""
        return sum(at >= since for at in self.loud.get(identity, ())) * BLOCK_S

    def silent_seconds(self, identity: str) -> float:
        """Return the seconds of silence since the last loud block, by the sound's own time."""
        return self.still.get(identity, 0) * BLOCK_S

    def _subscribed(self, track: rtc.Track, publication: object, participant: rtc.RemoteParticipant) -> None:
        is_sound = track.kind == rtc.TrackKind.KIND_AUDIO
        work = self._listen(track, participant.identity) if is_sound else self._look(track, participant.identity)
        self.tasks[track.sid] = asyncio.get_running_loop().create_task(work)

    def _end(self, track: str) -> None:
        """Stop listening to a track: another participant's sound may reuse it."""
        if (task := self.tasks.pop(track, None)) is not None:
            task.cancel()

    async def _listen(self, track: rtc.Track, identity: str) -> None:
        loud = self.loud.setdefault(identity, [])
        async for event in rtc.AudioStream(track, sample_rate=48_000, num_channels=1):
            if np.abs(np.frombuffer(event.frame.data, np.int16)).max() > LOUD:
                loud.append(time.monotonic())
                self.still[identity] = 0
            else:
                self.still[identity] = self.still.get(identity, 0) + 1

    async def _look(self, track: rtc.Track, identity: str) -> None:
        self.frames[identity] = 0
        async for event in rtc.VideoStream(track, format=rtc.VideoBufferType.I420):
            frame = event.frame
            luma = np.frombuffer(frame.data, np.uint8)[: frame.width * frame.height : 31]
            self.frames[identity] += bool(luma.std() > 10)


@dataclass(slots=True)
class StudioForwarder:
    """Forwarder between a bot and the studio, which can be closed while the studio runs on."""

    server: asyncio.Server | None = None
    writers: set[asyncio.StreamWriter] = field(default_factory=set)
    studio: int = 0

    async def open(self, studio: int) -> int:
        """Listen on a port, which is returned. studio: the studio's port."""
        self.studio = studio
        self.server = await asyncio.start_server(self._enter, "127.0.0.1", 0)
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    def shut(self) -> None:
        """Refuse new connections, and close the existing ones."""
        assert self.server
        self.server.close()
        for writer in self.writers:
            writer.close()

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        beyond, onwards = await asyncio.open_connection("127.0.0.1", self.studio)
        self.writers |= {writer, onwards}
        await asyncio.gather(_pass_on(reader, onwards), _pass_on(beyond, writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@dataclass(slots=True)
class Bot:
    """A bot that runs.

    door: through which it reaches the studio. going: a file with a byte for each pause that was ended. said: the JSON
    of its lines with "BOT", in order. text: all its output.
    """

    process: asyncio.subprocess.Process
    door: StudioForwarder
    going: Path
    said: list[dict[str, Any]] = field(default_factory=list)
    text: str = ""

    async def until(self, true: Callable[[], object], seconds: float = WAIT_S) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline and self.process.returncode is None, self.text[-4000:]
            await asyncio.sleep(0.05)

    def go_on(self) -> None:
        """End a pause of the bot."""
        with self.going.open("ab") as file:
            file.write(b".")

    def events(self, name: str) -> list[dict[str, Any]]:
        return [each for each in self.said if each["event"] == name]

    async def read(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            text = line.decode("utf-8", "replace")
            self.text += text
            if "BOT {" in text:
                self.said.append(json.loads(text[text.index("BOT {") + 4 :]))


def speech_file(folder: Path) -> Path:
    """Write a WAV file of 1.6 s, longer than the time after which the examples interrupt."""
    path = folder / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(buzz(1.6).tobytes())
    return path


@asynccontextmanager
async def bot(python: Path, serving: SessionStudio, *command: str, **environment: str) -> AsyncIterator[Bot]:
    """Run `python command` with the addresses of the studio and its LiveKit server in the environment."""
    server, door = serving.server, StudioForwarder()
    port = await door.open(serving.http.base_url.port or 80)
    variables = {
        "LIVEKIT_URL": server.url, "LIVEKIT_API_KEY": server.key, "LIVEKIT_API_SECRET": server.secret,
        "PERSONASTUDIO_URL": f"http://127.0.0.1:{port}", "PERSONASTUDIO_TOKEN": serving.token,
        "PERSONASTUDIO_AVATAR": "sample", "COLUMNS": "200",
    }  # fmt: skip
    packages = os.pathsep.join(str(folder) for folder in sorted(INTEGRATIONS.iterdir()) if folder.is_dir())
    with tempfile.NamedTemporaryFile(prefix="studio-bot-") as going:
        process = await asyncio.create_subprocess_exec(
            str(python), *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env=os.environ | {"PYTHONPATH": packages, "GO_ON": going.name} | variables | environment,
            start_new_session=True,
        )  # fmt: skip
        made = Bot(process, door, Path(going.name))
        reading = asyncio.create_task(made.read())
        try:
            yield made
        finally:
            if process.returncode is None:
                process.terminate()
            try:
                async with asyncio.timeout(60):
                    await process.wait()
            except TimeoutError:
                pass
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its jobs are separate processes, which keep its output open
            await process.wait()
            await reading
            door.shut()


def play(
    python: Path,
    serving: SessionStudio,
    words: Sequence[str],
    scene: Callable[[Bot, RoomEars], Awaitable[None]],
    **environment: str,
) -> None:
    """Run a bot in a new room, from its start to the end of the scene.

    words: the arguments before the room, its program first.
    """
    room = f"room-{uuid.uuid4().hex[:8]}"

    async def body() -> None:
        ears = RoomEars()
        await ears.connect(serving.server, room)
        try:
            async with bot(python, serving, *words, room, ROOM=room, **environment) as made:
                try:
                    async with asyncio.timeout(SCENE_S):
                        await scene(made, ears)
                except TimeoutError:
                    pytest.fail(f"The scene did not end; the bot said:\n{made.text[-4000:]}")
        finally:
            await ears.close()

    asyncio.run(body())
