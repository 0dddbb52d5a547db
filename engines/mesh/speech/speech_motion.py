"""A voice as motion: one motion per tick, from the voice up to slightly after the tick."""

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from engines.api import VoiceBlock
from engines.mesh.motion import MeshMotion, idle_motion
from engines.mesh.speech.articulation import FUTURE, PAST, REST, MouthShape, mix_mouths, mouth, mouth_values
from engines.mesh.speech.mel_features import HOP_SAMPLES
from engines.mesh.speech.mouth_shapes import SpeakingFace
from engines.mesh.speech.prosody import Prosody
from engines.mesh.speech.viseme_stream import VisemeStream, needed
from engines.mesh.speech.visemes import VISEMES, VisemeNetwork
from shared.face.landmarks import Face
from shared.runtime.arrays import StateArrays
from shared.runtime.clock import SOUND_RATE_HZ, US, tick_after, tick_pts

VOICE_AHEAD_US = 85_000  # voice needed beyond a tick's own time: `needed` in microseconds, rounded up
# Eye distances that the irises move against one degree of head turn: eyes stay on the viewer while the head moves.
FIXATION = 0.0023
LET_GO = (0.45, 0.0)  # share of an interrupted mouth shape that remains in the first and in the second frame after


@dataclass(frozen=True, slots=True)
class SpeechMotion:
    """One tick's motion. waiting: there has been no speech for a while."""

    pts: int
    motion: MeshMotion
    waiting: bool


class Speaker:
    """Turns a voice into the motion of one avatar's face. Not thread-safe."""

    def __init__(self, face: Face, rate: Fraction) -> None:
        self._rate = rate
        self._face = SpeakingFace(face)
        self._listener = VisemeStream(VisemeNetwork.load())
        self._rhythm = Prosody()
        self._mouth = REST
        self._tick = 0
        self._forget()
        self._after = len(LET_GO)

    def hear(self, block: VoiceBlock) -> list[SpeechMotion]:
        """Return the motions of the ticks that this block completes."""
        if self._listener.append_block(block):
            self._forget()
            self._tick = tick_after(self._listener.start * US // SOUND_RATE_HZ - 1, self._rate)
        return self._until(self._listener.end)

    def flush(self) -> list[SpeechMotion]:
        """Return the motions of the ticks up to the end of the voice, as if silence followed."""
        end = self._listener.end
        if end < 0:
            return []
        silence = np.zeros(VOICE_AHEAD_US * SOUND_RATE_HZ // US + 1, np.int16)
        self._listener.append_block(VoiceBlock(end * US // SOUND_RATE_HZ, silence))
        said = self._until(self._listener.end, end)
        self.reset()
        return said

    def reset(self) -> None:
        """Forget the voice. The mouth closes within two frames; the head returns to rest at its usual pace."""
        self._listener = self._listener.fresh_stream()
        self._forget()

    def _forget(self) -> None:
        self._told = np.zeros((PAST + 1 + FUTURE, len(VISEMES)), np.float32)
        self._told[:, 0] = 1.0
        self._held, self._after = self._mouth, 0

    def _until(self, heard: int, end: int | None = None) -> list[SpeechMotion]:
        said: list[SpeechMotion] = []
        while True:
            pts = tick_pts(self._tick, self._rate)
            reached = (pts + VOICE_AHEAD_US) * SOUND_RATE_HZ <= heard * US
            if not reached or (end is not None and pts * SOUND_RATE_HZ >= end * US):
                return said
            said.append(self._say(pts))
            self._tick += 1

    def _say(self, pts: int) -> SpeechMotion:
        frame = pts * SOUND_RATE_HZ // US // HOP_SAMPLES + FUTURE
        first = self._listener.told + 1
        for number, (told, loud) in enumerate(self._listener.new_probabilities(frame), first):
            self._told = np.concatenate([self._told[1:], told[None]])
            self._rhythm.advance_frame(number, 1.0 - float(told[0]), loud)
        spoken = mouth(self._told, self._rhythm.effort, self._rhythm.presence)
        if self._after < len(LET_GO):
            spoken = mix_mouths(spoken, self._held, LET_GO[self._after])
            self._after += 1
        self._mouth = spoken
        return SpeechMotion(pts, self._motion(pts, spoken), self._rhythm.waiting)

    def _motion(self, pts: int, spoken: MouthShape) -> MeshMotion:
        idle, rhythm = idle_motion(pts), self._rhythm
        lips, seal, skin = self._face.motion(spoken, rhythm.brow)
        head = np.array([rhythm.yaw, rhythm.pitch + rhythm.nod, rhythm.roll], np.float32)
        look = np.array([-FIXATION * head[0], -FIXATION * head[1]], np.float32)
        return replace(
            idle,
            turn=idle.turn + head,
            gaze=idle.gaze * np.float32(1.0 - 0.4 * rhythm.presence) + look,
            lids=np.minimum(idle.lids, np.float32(1.0 - rhythm.closure)),
            lips=lips,
            seal=seal,
            skin=skin,
        )

    def save(self) -> StateArrays:
        """Return all state carried from one block to the next, as plain arrays."""
        return self._listener.save() | {
            "told": self._told.copy(),
            "rhythm": self._rhythm.save(),
            "mouths": np.array([mouth_values(self._mouth), mouth_values(self._held)]),
            "ticks": np.array([self._tick, self._after], np.int64),
        }

    def restore(self, state: StateArrays) -> None:
        """Continue from the state that `save` returned."""
        self._listener.restore(state)
        self._told = np.asarray(state["told"], np.float32)
        self._rhythm = Prosody.restored(_floats(state["rhythm"]))
        shown, held = _floats(state["mouths"])
        self._mouth, self._held = MouthShape(*map(float, shown)), MouthShape(*map(float, held))
        self._tick, self._after = (int(v) for v in state["ticks"])


def _floats(values: NDArray[np.generic]) -> NDArray[np.float64]:
    return np.asarray(values, np.float64)


assert needed(FUTURE) * US <= VOICE_AHEAD_US * SOUND_RATE_HZ
