"""RTMP output: pushes the program to an RTMP receiver, encoded in a separate thread and sent by a separate process.

Any failure of the receiver (it refuses, does not answer, stops reading, or disconnects) is detected within ten seconds
and reported in one sentence. The push is retried after increasing pauses. No other output is affected.
"""

import threading
import time
from dataclasses import replace
from urllib.parse import urlsplit

from services.gateway.channel.event_log import EventLog
from services.gateway.channel.program_feed import OutputQueue
from services.gateway.outputs.base import OutputState
from services.gateway.outputs.rtmp.flv import FlvWriter
from services.gateway.outputs.rtmp.process import PushError, PushProcess
from shared.config.settings import Settings, shown_address
from shared.runtime.restart import RetryDelay
from shared.wire.program import ProgramFrame

QUEUE_FRAMES = 12  # half a second: older frames are of no use to viewers
QUEUE_SOUND_BLOCKS = 50
POLL_S = 0.2
# Seconds live after which the pauses start from the shortest again; an earlier end counts as a repeated failure.
SETTLED_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
SENTENCES = {
    "unreachable": "{host} does not answer; is the RTMP server running, and rtmp_url right?",
    "refused": "{host} does not accept the stream; check the application and the stream key in rtmp_url.",
    "silent": "{host} accepts the connection but never answers; is it an RTMP server?",
    "stalled": "{host} no longer accepts data.",
    "unstarted": "The process that sends to {host} cannot be started; this machine is out of memory or processes.",
    "closed": "{host} ended the connection.",
}


class RtmpOutput:
    """Pushes the program to the address in the settings while it is wanted (see `want`).

    state: off, connecting, live, reconnecting (it was live) or failed; the last two retry by themselves. Its figures
    are kbps and seconds live. shown: the address without its secrets, "" if none is set.
    """

    def __init__(self, settings: Settings, event_log: EventLog) -> None:
        self.outlet = OutputQueue("rtmp", frames=QUEUE_FRAMES, sounds=QUEUE_SOUND_BLOCKS)
        self.outlet.open = False
        self.state = OutputState()
        self._address = settings.rtmp_url.get_secret_value() if settings.rtmp_url else ""
        self.shown = shown_address(settings.rtmp_url) if settings.rtmp_url else ""
        self._rate, self._kbps = settings.rate, settings.rtmp_kbps
        self._event_log = event_log
        self._retry = RetryDelay(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._wanted = False
        self._changed = threading.Event()
        self._stopping = False
        self._process: PushProcess | None = None

    def want(self, on: bool) -> None:
        """Switch the push on or off. May be called from any thread."""
        on = on and bool(self._address)
        if on != self._wanted:
            self._wanted = on
            self._retry.reset()
            self._nudge()

    def stop(self) -> None:
        """Make `run` return; interrupts anything it is waiting for."""
        self._stopping = True
        self._nudge()

    def _nudge(self) -> None:
        self._changed.set()
        self.outlet.wake()
        process = self._process
        if process and (self._stopping or not self._wanted):
            process.end()

    def run(self) -> None:
        """Push until `stop`."""
        while not self._stopping:
            self._changed.clear()
            if not self._wanted:
                self._turn_off()
                self._changed.wait()
                continue
            if self.state.state in ("off", "live"):
                self.state = self.state.with_phase("connecting")
            try:
                self._push()
            except PushError as error:
                self._pause(error)

    def _turn_off(self) -> None:
        if self.state.state != "off":
            self._event_log.add(f"RTMP push to {self.shown} ended.")
            self.state = self.state.with_phase("off")

    def _push(self) -> None:
        """Push over one connection until the push is no longer wanted or the frame size changes. Raises PushError."""
        self.outlet.clear()
        self.outlet.counting = False
        self.outlet.open = True
        stream: FlvWriter | None = None
        process = self._process = PushProcess()
        try:
            process.write(f"{self._address}\n".encode())
            while self._wanted and not self._stopping:
                for item in self.outlet.drain(POLL_S):
                    if isinstance(item, ProgramFrame):
                        if stream is None:
                            stream = FlvWriter(process.write, item, self._rate, self._kbps)
                        elif stream.size != (item.width, item.height):
                            return
                        stream.frame(item)
                    elif stream:
                        stream.sound(item)
                process.check()
                self._tell(process)
        except PushError:
            if self._wanted and not self._stopping:
                raise
        finally:
            self.outlet.open = False
            self._process = None
            process.close()
            if stream:
                stream.close()
            self.outlet.clear()

    def _tell(self, process: PushProcess) -> None:
        """Update the state: live once the receiver has acknowledged data of the stream."""
        if not process.live:
            return
        self.outlet.counting = True
        if self.state.state != "live":
            self._event_log.add(f"RTMP push to {self.shown} is live.")
        if process.live_for > SETTLED_S:
            self._retry.reset()
        self.state = self.state.with_phase("live", kbps=round(process.kbps), seconds=round(process.live_for))

    def _pause(self, error: PushError) -> None:
        """Report the error and wait until the next attempt is due or the wanted state changes."""
        sentence = SENTENCES[error.kind].format(host=urlsplit(self._address).hostname)
        was_live = self.state.state == "live" and error.kind == "closed"
        pause = self._retry.next_s()
        if sentence not in self.state.note:  # once, not with every attempt
            self._event_log.add(f"RTMP: {sentence}", "error")
        note = f"{sentence} Trying again in {max(1, round(pause))} s."
        self.state = replace(self.state.with_phase("reconnecting" if was_live else "failed", note), figures={})
        until = time.monotonic() + pause
        self._changed.wait(max(0.0, until - time.monotonic()))
