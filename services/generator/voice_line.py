"""A channel's voice for the engine: buffered by pts, and passed on just before each program tick."""

from fractions import Fraction

from engines.api import VoiceBlock
from shared.media.voice_ring import VoiceBuffer
from shared.runtime.clock import SOUND_RATE_HZ, US, tick_pts
from shared.scene import Scene
from shared.wire.message import Message, WireError

# Time between the last sample that a face needs and the tick that shows it, for transport and engine.
VOICE_MARGIN_US = 35_000
BACKLOG_TICKS = 3  # ticks of voice passed on at most; after a longer pause the generator skips to the present


class VoiceLine:
    """A channel's voice.

    The face for a tick's sound is shown a constant number of ticks later; the compositor delays the sound as much.
    """

    def __init__(self, rate: Fraction) -> None:
        self._rate = rate
        self._buffer = VoiceBuffer()
        self._epoch = 0
        self._drives = False  # the driver of this epoch is a voice
        self._word = ""  # the scene's driver
        self._is_voice = False  # that driver is a voice and nothing else
        self._handed = -1  # number after the last sample passed on

    def on_scene(self, scene: Scene) -> None:
        """Follow the scene's driver. A new driver counts as a voice from the start only if its name says so."""
        if scene.driver != self._word:
            self._word, self._is_voice, self._drives = scene.driver, scene.driver_ref.is_voice, False

    def on_driving(self) -> None:
        """Note that driving frames arrive, so the driver is not a voice."""
        self._drives = False

    def on_voice(self, message: Message) -> bool:
        """Store a voice block; returns whether it begins a new epoch, which clears the buffer. Raises WireError."""
        if message.format != "s16":
            raise WireError("malformed")
        drives = message.fact("drives", bool)
        restarted = message.epoch != self._epoch
        if restarted:
            self._epoch = message.epoch
            self._buffer.clear()
        self._buffer.write(message.pts, message.array)
        self._drives = drives
        return restarted

    @property
    def drives(self) -> bool:
        """Whether the scene's driver is a voice, speaking or silent."""
        return self._drives or self._is_voice

    def said_at(self, tick: int, ahead: int) -> int:
        """Return the time (microseconds) of the voice for the face that is shown at this tick.

        ahead: microseconds of voice after that time that the engine needs.
        """
        ticks = 1
        while tick_pts(ticks, self._rate) < ahead + VOICE_MARGIN_US:
            ticks += 1
        return tick_pts(tick - ticks, self._rate)

    def block(self, tick: int, ahead: int) -> VoiceBlock:
        """Return the voice that the face of this tick needs and that was not returned before; gaps are silence."""
        said = self.said_at(tick, ahead)
        end = (said + ahead) * SOUND_RATE_HZ // US + 1
        if not 0 < end - self._handed <= BACKLOG_TICKS * SOUND_RATE_HZ * self._rate.denominator // self._rate.numerator:
            self._handed = said * SOUND_RATE_HZ // US
        first, self._handed = self._handed, end
        return VoiceBlock(first * US // SOUND_RATE_HZ, self._buffer.read(first, end - first))
