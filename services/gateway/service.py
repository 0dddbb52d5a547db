"""The gateway's threads (bus, preview encoder, recorder, LiveKit, RTMP) and the objects shared with the event loop.

Crash-only: an exception that ends a thread ends the process, and the supervisor restarts it.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from compositing.label import label_overlay
from services.gateway.audience.links import WatchLinks
from services.gateway.audience.seats import WatchSeats
from services.gateway.channel.browser_source import RemoteDriver
from services.gateway.channel.burnt_captions import BurntCaptions
from services.gateway.channel.event_log import EventLog
from services.gateway.channel.health import ChannelHealth
from services.gateway.channel.program_feed import ProgramFeed
from services.gateway.channel.scene_store import SceneStore
from services.gateway.channel.speech_queue import SpeechQueue
from services.gateway.channel.text_speech import TextSpeech
from services.gateway.children.avatar_build import BuildProgress
from services.gateway.conversation.conversation import HostConversation
from services.gateway.jobs.board import JobBoard
from services.gateway.jobs.metrics import JobMetrics
from services.gateway.outputs.livekit import LiveKitOutput
from services.gateway.outputs.recorder import Recorder
from services.gateway.outputs.rtmp.output import RtmpOutput
from services.gateway.preview.encoder import PreviewMessages, PreviewThread
from services.gateway.preview.plate_diff import PlateFrames
from services.gateway.preview.viewers import Audience
from services.gateway.sessions.board import SERVICES, SessionBoard
from services.gateway.sessions.portraits import SessionPortraits
from shared.avatar.model import NAME, avatars_folder
from shared.config.settings import Settings
from shared.config.token import operator_token
from shared.driver_ref import DriverKind
from shared.errors import StudioError
from shared.media.driver_view import view_size
from shared.runtime.clock import US, now
from shared.runtime.logs import get_logger
from shared.runtime.wake import Wake
from shared.scene import DriverImage, Scene
from shared.session_spec import packed_sessions
from shared.wire.loop import ServiceLoop
from shared.wire.message import Message, WireError
from shared.wire.program import frame_of, sound_of
from shared.wire.pulse import Pulse

log = get_logger()
TASK_PAUSE_S = 1.0  # seconds until a task that returned or failed is run again
CLOSE_WAIT_S = 0.7  # seconds that the threads have to stop
RECORD = "record"  # name of the recorder's thread


class Gateway:
    """One channel's gateway. Made and started in the event loop."""

    def __init__(self, settings: Settings, ended: Callable[[], None]) -> None:
        self.settings = settings
        self.started = time.time()
        self.event_log = EventLog()
        self.scene_store = SceneStore(settings, self.event_log)
        self.feed = ProgramFeed(settings.rate)
        self.health = ChannelHealth(self.event_log, self.feed)
        self.recorder = Recorder(settings, self.event_log)
        self.livekit = LiveKitOutput(settings, self.event_log)
        self.rtmp = RtmpOutput(settings, self.event_log)
        self.audience = Audience(self._watched)
        self.seats = WatchSeats(
            settings, WatchLinks(settings, self.event_log, operator_token(settings.home)), self.audience, self.event_log
        )
        self.preview = PreviewThread(settings.preview_quality, self._plate, self._deliver)
        self.burnt_captions = BurntCaptions(self.event_log, round(US / settings.rate))
        self.feed.caption = self.burnt_captions.overlay
        self.feed.outlets = [self.preview.outlet, self.recorder.outlet, self.livekit.outlet, self.rtmp.outlet]
        self.told = (0.0, "")  # the last state text made for the pages: monotonic time and text
        self.remote = RemoteDriver(settings)
        self.speech = SpeechQueue(
            self.event_log, self.remote.speak, self.remote.discard_voice, self.voice_delay, self.hears_speech
        )
        self._speech_since = 0  # the revision of the scene in which speech became the driver
        self._was_speech = False
        self.texts = TextSpeech(self.speech, self.event_log, settings.voice)
        for hear in (self.recorder.captions.hear, self.audience.hear, self.livekit.hear, self.burnt_captions.hear):
            self.speech.captions.add_listener(hear)
        self.speech.captions.add_expecting(self.burnt_captions.expect)
        self.conversation = HostConversation(self.texts, self.speech, self.want_speech, self.event_log)
        self.jobs = JobBoard(settings, self.event_log)
        self.job_metrics = JobMetrics(self.jobs)
        self.builds: dict[str, BuildProgress] = {}  # avatars being built, by name
        self._events = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = ended
        self._wake = Wake()
        self._scene_due = self._captured = self._sessions_due = 0
        self.sessions = SessionBoard(settings, self.event_log, self._tell_sessions)
        self.portraits = SessionPortraits(settings, lambda: {spec.avatar for spec in self.sessions.wanted()})
        self._image_sent = ""
        self._open_bus()
        self._threads = [
            threading.Thread(target=self._guard, args=(run,), name=name, daemon=True)
            for name, run in (
                ("bus", self._bus),
                ("preview", self.preview.run),
                (RECORD, self.recorder.run),
                ("livekit", self.livekit.run),
                ("rtmp", self.rtmp.run),
            )
        ]

    def start(self) -> None:
        """Start the threads."""
        self.scene_store.add_listener(self._want_outputs)
        self.scene_store.add_listener(self._on_scene)
        self.scene_store.add_listener(lambda _: self._wake.set())
        for thread in self._threads:
            thread.start()

    def _want_outputs(self, scene: Scene) -> None:
        self.burnt_captions.want(scene.burn_captions)
        allowed = bool(self.settings.clean_feed_right)
        self.recorder.outlet.clean = scene.record_clean and allowed
        self.recorder.want(scene.recording)
        self.livekit.want(scene.livekit)
        self.rtmp.outlet.clean = scene.rtmp_clean and allowed
        self.rtmp.want(scene.rtmp)

    def close(self) -> None:
        """Stop the threads and finish the recording's file. Called in a worker thread at shutdown."""
        self.texts.close()
        self.burnt_captions.close()
        self.recorder.stop()
        self.livekit.stop()
        self.rtmp.stop()
        self.preview.stop()
        self.loop.stop()
        self._wake.set()
        deadline = time.monotonic() + CLOSE_WAIT_S
        for thread in reversed(self._threads):
            # Wait without a limit for the recording to be finished; the supervisor kills a gateway that takes too long.
            thread.join(None if thread.name == RECORD else max(0.0, deadline - time.monotonic()))
        self.remote.close()

    def run_always(self, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `job` in the event loop until the gateway stops; when it returns or fails, run it again.

        Failures are counted.
        """
        self.run_task(self._again_and_again(job))

    async def _again_and_again(self, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await job()
            except Exception:
                log.exception("task_failed", task=repr(job))
                self.loop.meter.drops["task failed"] += 1
            await asyncio.sleep(TASK_PAUSE_S)

    def run_task(self, job: Coroutine[Any, Any, None]) -> None:
        """Run `job` once in the event loop, unless the gateway stops first. A failure is counted and logged."""
        task = self._events.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._left)

    def cancel_tasks(self) -> None:
        """Cancel all tasks and speech synthesis. Called in the event loop, before `close`."""
        self.texts.cancel_tasks()
        for task in self._tasks:
            task.cancel()

    def _left(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("task_failed", task=task.get_name(), exc_info=error)
            self.loop.meter.drops["task failed"] += 1

    def _on_scene(self, scene: Scene) -> None:
        is_speech = scene.driver_ref.kind is DriverKind.SPEECH
        if is_speech and not self._was_speech:
            self._speech_since = scene.revision
        self._was_speech = is_speech
        if not is_speech:  # speech that waits now must not be spoken when speech becomes the driver again
            self._events.call_soon_threadsafe(self.speech.interrupt)

    def want_speech(self) -> None:
        """Make speech the driver unless it already is. Raises StudioError if the engine has no voice input."""
        scene = self.scene_store.scene
        engines = self.health.service_facts("generator").get("engines", {})
        inputs = {name: about["inputs"] for name, about in engines.items() if "inputs" in about}
        if scene.engine in inputs and "voice" not in inputs[scene.engine]:
            listening = " or ".join(name for name, of in inputs.items() if "voice" in of) or "another engine"
            raise StudioError(f"The engine {scene.engine} is not driven by a voice; choose {listening} first.")
        if scene.driver_ref.kind is not DriverKind.SPEECH:
            self.scene_store.change(driver=DriverKind.SPEECH.value)
            self.speech.driver_changed()
            self.event_log.add("Driver is now speech.")

    def voice_delay(self) -> int:
        """Return the microseconds by which the compositor delays the voice so that it plays with its frame."""
        reported = self.health.service_facts("compositor").get("voice delay")
        return reported if type(reported) is int else 0

    def hears_speech(self) -> bool:
        """Whether capture has received the scene in which speech is the driver; until then it forwards no voice."""
        return self.health.scene_of("capture") >= self._speech_since

    def driver_image(self) -> DriverImage:
        """Return how much of the driver's image is needed: whole by an engine, small by a preview, or none."""
        if self.health.needs_driver_image(self.scene_store.scene):
            return "whole"
        return "small" if "driver" in self.preview.modes else "none"

    def _open_bus(self) -> None:
        self.loop = ServiceLoop("gateway", self.settings)
        self.loop.add_reader("program", self._on_program)
        self.loop.add_reader("sound", self._on_sound, newest=False)
        self.loop.add_reader("pulse", self._on_pulse, newest=False, collect=True)
        self.loop.add_reader("driving", self._on_driving)
        self._scenes = self.loop.publish("scene")
        self._rooms, self._casts = (self.loop.publish("sessions", many=name) for name in ("rooms", "casts"))
        self.loop.every(self.feed.due, self.feed.fill)
        self.loop.every(lambda: self._scene_due, self._send_scene)
        self.loop.every(lambda: self._sessions_due, self._send_sessions)
        self.loop.watch_descriptor(self._wake.fd, self._on_wake)

    def _bus(self) -> None:
        label_overlay(1920, 1080)  # load the text renderer now, so that it does not delay the first frame on air
        try:
            self.loop.run(signals=False)
        finally:
            self._events.call_soon_threadsafe(self._ended)

    def _guard(self, run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException:
            log.exception("thread_ended", thread=threading.current_thread().name)
            os._exit(1)

    def _on_pulse(self, message: Message) -> None:
        if message.facts.get("service") in SERVICES:
            if self.sessions.receive_pulse(Pulse.from_dict(message.facts)):
                self._sessions_due = 0
            return
        self.health.receive_pulse(message)
        if message.facts["scene"] != self.scene_store.scene.revision or self.driver_image() != self._image_sent:
            self._scene_due = 0  # the service lacks the current scene, as after its start: send it now, not in a second

    def _on_program(self, message: Message) -> None:
        frame = frame_of(message)
        new = self.feed.frame(frame)
        meter = self.loop.meter
        meter.state = frame.state
        meter.drops["frame late"] = self.feed.late["frame"]
        if new:
            fresh = frame.captured and frame.captured != self._captured
            meter.frame(now(), frame.captured if fresh else None)
            self._captured = frame.captured

    def _on_sound(self, message: Message) -> None:
        self.feed.sound(sound_of(message, self.settings.rate))
        self.loop.meter.drops["sound late"] = self.feed.late["sound"]

    def _on_driving(self, message: Message) -> None:
        if message.format == "rgb24" and message.array.shape[2] == 3 and message.array.size:
            self.preview.driver = (message.array, message.pts)
        elif message.format != "bytes":
            raise WireError("malformed")
        elif message.array.size:
            view = message.array.tobytes()
            try:
                view_size(view)
            except ValueError:
                raise WireError("malformed") from None
            self.preview.driver = (view, message.pts)

    def _on_wake(self) -> None:
        self._wake.clear()
        self._scene_due = 0

    def _tell_sessions(self) -> None:
        self._sessions_due = 0
        self._wake.set()

    def _send_sessions(self, at: int) -> None:
        """Send the wanted sessions to the process that joins rooms, and to the one that draws faces.

        The latter needs no room and no token, so it receives none.
        """
        self._sessions_due = at + US
        wanted = self.sessions.wanted()
        self._rooms.send(at, packed_sessions(wanted))
        self._casts.send(at, packed_sessions(spec.without_room() for spec in wanted))

    def _send_scene(self, at: int) -> None:
        self._scene_due = at + US
        scene, self._image_sent = self.scene_store.scene, self.driver_image()
        self._scenes.send(at, facts=replace(scene, driver_image=self._image_sent).as_dict())
        meter = self.loop.meter
        meter.scene = scene.revision
        for kind, count in self.feed.skipped.items():
            if count:
                meter.drops[f"{kind} skipped"] = count
        for outlet in self.feed.outlets:
            for kind, count in outlet.drops.items():
                # Frames that the preview skips to stay current, or for lack of viewers, are not a loss.
                if outlet.name != "preview" and count:
                    meter.drops[f"{outlet.name} {kind}"] = count
        for reason, count in self.remote.drops.items():
            meter.drops[reason] = count

    def _plate(self, avatar: str) -> PlateFrames:
        # The name comes from a message: use it in a path only if it is a valid avatar name.
        return PlateFrames(avatars_folder(self.settings.home) / (avatar if NAME.fullmatch(avatar) else "-"))

    def _watched(self, modes: frozenset[str]) -> None:
        self.preview.watch(modes)
        if self.driver_image() != self._image_sent:
            self._wake.set()

    def _deliver(self, item: PreviewMessages | bytes) -> None:
        try:
            self._events.call_soon_threadsafe(self.audience.deliver, item)
        except RuntimeError:
            pass  # the event loop is closed: the process is ending
