"""The loop that every service runs: read sockets, run due timers and send pulses until stopped."""

import gc
import os
from collections.abc import Callable
from typing import Any

import zmq

from shared.config.settings import Settings
from shared.runtime.clock import now
from shared.runtime.logs import get_logger
from shared.runtime.stop_signals import SERVICE, StopSignals
from shared.scene import Scene
from shared.wire.bus import Publisher, Reader, endpoint
from shared.wire.message import NOTHING, Message, WireError
from shared.wire.pulse import PULSE_PERIOD_US, Meter

log = get_logger()
MAX_WAIT_MS = 200


class ServiceLoop:
    """Sockets, timers and the pulse of one service. Owned by one thread; only `stop` may be called from another.

    A handler that meets bad data raises WireError, and the message is counted and dropped. Any other exception
    ends the process, and the supervisor starts it again.
    """

    def __init__(self, service: str, settings: Settings) -> None:
        self.settings = settings
        self.context: zmq.Context[Any] = zmq.Context(io_threads=1)
        self.meter = Meter(service)
        self.scene: Scene | None = None
        self._readers: dict[Any, tuple[Reader, Callable[[Message], None]]] = {}
        self._publishers: list[Publisher] = []
        self._watched: dict[int, Callable[[], None]] = {}
        self._timers: list[tuple[Callable[[], int], Callable[[int], None]]] = []
        self._on_scene: list[Callable[[Scene], None]] = []
        self._before_pulse: list[Callable[[], None]] = []
        self._poller = zmq.Poller()
        self._stopping = False
        self._parent = os.getppid()
        self._pulse_due = 0
        self._pulses = self._publisher(
            Publisher(self.context, self._at("pulse"), "pulse", settings.channel, bind=False)
        )
        self._pulses.connect(self._at("watch"))

    def publish(self, stream: str, *, many: str = "") -> Publisher:
        """Open a stream for sending. many: name of the endpoint, if it carries the streams of many sessions."""
        channel = self.settings.channel
        return self._publisher(Publisher(self.context, self._at(many or stream), stream, channel, many=bool(many)))

    def add_reader(
        self,
        stream: str,
        handler: Callable[[Message], None],
        *,
        newest: bool = True,
        collect: bool = False,
        many: str = "",
    ) -> Reader:
        """Call `handler` with every message of a stream, or with only the newest of each read if `newest`.

        collect: bind the endpoint, to receive from many publishers. many: name of the endpoint that carries the streams
        of many sessions; the handler receives the messages of all of them.
        """
        channel = "" if many else self.settings.channel
        reader = Reader(self.context, self._at(many or stream), stream, channel, newest=newest, bind=collect)
        self._readers[reader.socket] = (reader, handler)
        self._poller.register(reader.socket, zmq.POLLIN)
        return reader

    def follow_scene(self, handler: Callable[[Scene], None] | None = None) -> None:
        """Keep `scene` equal to the scene that the gateway sends; call `handler` on each change."""
        if handler:
            self._on_scene.append(handler)
        self.add_reader("scene", self._hear_scene)

    def every(self, due: Callable[[], int], action: Callable[[int], None]) -> None:
        """Call `action(now)` when the time `due()` (microseconds) is reached; `action` must move the due time on."""
        self._timers.append((due, action))

    def before_pulse(self, action: Callable[[], None]) -> None:
        """Call `action` just before each pulse, to bring the meter up to date."""
        self._before_pulse.append(action)

    def watch_descriptor(self, fd: int, action: Callable[[], None]) -> None:
        """Call `action` when this file descriptor is readable, which is how another thread wakes the loop."""
        self._watched[fd] = action
        self._poller.register(fd, zmq.POLLIN)

    def stop(self) -> None:
        """Make `run` return after the current turn."""
        self._stopping = True

    def run(self, *, signals: bool = True) -> None:
        """Run until `stop`, SIGTERM or SIGINT, or until the supervisor that started this process is gone."""
        if signals:
            StopSignals(SERVICE, self.stop)
        log.info("service_running", service=self.meter.service, pid=os.getpid())
        # The objects that exist now live as long as the process. Collecting over them would stall the program for
        # several ticks.
        gc.collect()
        gc.freeze()
        try:
            while not self._stopping:
                self.turn()
        finally:
            for reader, _ in self._readers.values():
                reader.close()
            for publisher in self._publishers:
                publisher.close()
            self.context.term()

    def turn(self) -> None:
        """Wait for the next message or timer, then handle every message and timer that is due."""
        next_due = min([self._pulse_due, *(due() for due, _ in self._timers)])
        wait = max(0, min(MAX_WAIT_MS, -((now() - next_due) // 1000)))
        for socket, _ in self._poller.poll(wait):
            if socket in self._watched:
                self._watched[socket]()
                continue
            reader, handler = self._readers[socket]
            for message in reader.read():
                try:
                    handler(message)
                except WireError as error:
                    reader.losses[error.reason] += 1
        for due, action in self._timers:
            at = now()
            if due() <= at:
                action(at)
        if now() >= self._pulse_due:
            self.pulse()

    def pulse(self) -> None:
        """Send a pulse now, besides the regular one of each period, and restore broken endpoints and connections."""
        at = now()
        self._pulse_due = at + PULSE_PERIOD_US
        if os.getppid() != self._parent:
            log.warning("supervisor_gone", service=self.meter.service)
            self.stop()
        for publisher in self._publishers:
            publisher.keep_endpoint()
        for reader, _ in self._readers.values():
            reader.keep_endpoint()
            reader.redial()
            for reason, count in reader.losses.items():
                self.meter.drops[f"{reader.stream} {reason}"] = count
        for action in self._before_pulse:
            action()
        self._pulses.send(at, NOTHING, facts=self.meter.pulse(at).as_dict())

    def _hear_scene(self, message: Message) -> None:
        try:
            scene = Scene.from_dict(message.facts)
        except (ValueError, TypeError):
            raise WireError("malformed") from None
        if scene != self.scene:
            self.scene = scene
            for handler in self._on_scene:
                handler(scene)
        if self.meter.scene != scene.revision:
            self.meter.scene, self._pulse_due = scene.revision, 0  # pulse immediately: the gateway may wait for it

    def _at(self, name: str) -> str:
        return endpoint(self.settings.run_dir, name)

    def _publisher(self, publisher: Publisher) -> Publisher:
        self._publishers.append(publisher)
        return publisher
