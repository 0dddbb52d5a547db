"""Sessions service: at each tick sends every session's voice to its engine, and its frame and sound into its room."""

import time
from collections import deque

from compositing.blend import warm_up
from services.sessions.guest import ReadySound, RoomGuest, Rooms
from services.sessions.session_stage import SessionStage
from shared.config.settings import Settings
from shared.runtime.clock import now, tick_after, tick_pts
from shared.runtime.wake import Wake
from shared.runtime.work_share import WorkShare
from shared.session_spec import unpacked_sessions
from shared.wire.loop import ServiceLoop
from shared.wire.message import Message
from shared.wire.program import ProgramSound

# This long before a tick its sound is fixed and sent into the room, and its voice to the engine. The sound waits in the
# room's queue for about as long as the face takes to be drawn, and is sent together with the frame.
SAID_LEAD_US = 24_000


class SessionsService:
    """State of the sessions service and handlers of its events."""

    def __init__(self, settings: Settings) -> None:
        self.loop = ServiceLoop("sessions", settings)
        self._rate = settings.rate
        self._voices = self.loop.publish("voice", many="voices")
        self._stages: dict[str, tuple[SessionStage, RoomGuest]] = {}
        self._changes: deque[tuple[str, tuple[SessionStage, RoomGuest] | None]] = deque()
        self._wake = Wake()
        self._work = WorkShare()
        warm_up()
        self.rooms = Rooms(settings, self._enter, self._left)
        self._say_tick = self._show_tick = tick_after(now() + SAID_LEAD_US, self._rate)
        self.loop.add_reader("sessions", self._on_sessions, many="rooms")
        self.loop.add_reader("face", self._on_face, newest=False, many="faces")
        self.loop.watch_descriptor(self._wake.fd, self._on_change)
        self.loop.every(lambda: tick_pts(self._show_tick, self._rate), self._show)
        self.loop.every(lambda: tick_pts(self._say_tick, self._rate) - SAID_LEAD_US, self._say)
        self.loop.before_pulse(self._report)

    def run(self, *, signals: bool = True) -> None:
        """Run the service until it is stopped, then leave all rooms."""
        self.loop.run(signals=signals)
        self.rooms.close()

    def _on_sessions(self, message: Message) -> None:
        self.rooms.want(unpacked_sessions(message.array))

    def _enter(self, stage: SessionStage, guest: RoomGuest) -> None:
        self._changes.append((stage.spec.id, (stage, guest)))
        self._wake.set()

    def _left(self, session: str) -> None:
        self._changes.append((session, None))
        self._wake.set()

    def _on_change(self) -> None:
        self._wake.clear()
        while self._changes:
            name, made = self._changes.popleft()
            if made is None:
                self._stages.pop(name, None)
            else:
                self._stages[name] = made

    def _on_face(self, message: Message) -> None:
        made = self._stages.get(message.channel)
        why = made[0].take(message, now()) if made else "face of no session"
        if why:
            self.loop.meter.drops[why] += 1

    def _say(self, at: int) -> None:
        """Fix the sound of the next tick, send it into the rooms, and send the engines the voice for its faces."""
        with self._work:
            self._say_all(at)

    def _say_all(self, at: int) -> None:
        tick = max(tick_after(at + SAID_LEAD_US, self._rate) - 1, self._say_tick)
        self._say_tick = tick + 1
        for name, (stage, guest) in self._stages.items():
            for due in stage.ticks_to_say(tick):
                said, voice = stage.say(due, at)
                guest.offer(ReadySound(said, ProgramSound(due, tick_pts(due, self._rate), said.samples)))
                if voice is not None:
                    self._voices.send(voice[0], voice[1], "s16", channel=name)

    def _show(self, at: int) -> None:
        """Send every session's frame of this tick into its room."""
        with self._work:
            self._show_all(at)

    def _show_all(self, at: int) -> None:
        tick = max(tick_after(at, self._rate) - 1, self._show_tick)
        if tick > self._show_tick:
            self.loop.meter.drops["tick missed"] += tick - self._show_tick
        self._show_tick = tick + 1
        for stage, guest in self._stages.values():
            guest.offer(stage.frame(tick))
            self.loop.meter.frame(now())
        for stage, _ in self._stages.values():
            stage.prepare_tick(self._show_tick)

    def _report(self) -> None:
        meter, states = self.loop.meter, self.rooms.states()
        meter.state = "running" if states else "idle"
        rows = {name: state.as_dict() for name, state in states.items()}
        meter.facts = {"sessions": rows, "cpu_s": time.process_time(), "share": self._work.taken_share()}
