"""The voice as the engine is to hear it: kept by its own time, handed over just before each program tick."""

from fractions import Fraction

from engines.api import VoiceBlock
from shared.media.voice_ring import VoiceBuffer
from shared.runtime.clock import SOUND_RATE_HZ, US, tick_pts
from shared.scene import Scene
from shared.wire.message import Message, WireError

# From the last sample that a face needs to the tick that shows it: the voice's way here, the engine, the face's way on.
VOICE_MARGIN_US = 35_000
BACKLOG_TICKS = 3  # ticks of voice handed over at most; a generator that was away for longer continues at the present


class VoiceLine:
    """A channel's voice.

    The sound of a tick is shown some ticks later, always as many: the compositor delays the sound by that.
    """

    def __init__(self, rate: Fraction) -> None:
        self._rate = rate
        self._buffer = VoiceBuffer()
        self._epoch = 0
        self._drives = False  # the driver of this epoch is a voice
        self._word = ""  # the scene's driver
        self._is_voice = False  # that driver is a voice and nothing else
        self._handed = -1  # number after the last sample handed over

    def on_scene(self, scene: Scene) -> None:
        """Take a scene: a new driver is a voice from the start only where its name says so."""
        if scene.driver != self._word:
            self._word, self._is_voice, self._drives = scene.driver, scene.driver_ref.is_voice, False

    def on_driving(self) -> None:
        """Frames come: it is a face that drives."""
        self._drives = False

    def on_voice(self, message: Message) -> bool:
        """Keep a block. Returns whether it begins a new epoch, which voids what was heard before. Raises WireError."""
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
        """The time (microseconds) of the voice that a face shown at this tick speaks.

        ahead: microseconds of voice that the engine needs beyond it.
        """
        ticks = 1
        while tick_pts(ticks, self._rate) < ahead + VOICE_MARGIN_US:
            ticks += 1
        return tick_pts(tick - ticks, self._rate)

    def block(self, tick: int, ahead: int) -> VoiceBlock:
        """The voice that the face of this tick needs and that has not been handed over; silence where there is none."""
        said = self.said_at(tick, ahead)
        end = (said + ahead) * SOUND_RATE_HZ // US + 1
        if not 0 < end - self._handed <= BACKLOG_TICKS * SOUND_RATE_HZ * self._rate.denominator // self._rate.numerator:
            self._handed = said * SOUND_RATE_HZ // US
        first, self._handed = self._handed, end
        return VoiceBlock(first * US // SOUND_RATE_HZ, self._buffer.read(first, end - first))
