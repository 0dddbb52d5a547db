"""Head movements of a speaking host: nods on stressed syllables, turns with a new phrase, blinks at its end."""

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from shared.face.blink import blink_closure, closure_since

FRAME_S = 0.01  # seconds between two frames
FAST, SLOW = FRAME_S / 0.04, FRAME_S / 0.5  # low-pass filters of loudness, per frame; their difference is stress
NOD_S, POSE_S, BROW_S = 0.09, 0.28, 0.12  # time constants of critically damped springs
NOD, BROW = 3.2, 0.9  # degrees of pitch, and raise of the brows, for full stress
# Spread of the head pose of a phrase: degrees of yaw, pitch and roll, one standard deviation.
POSE = np.array([2.6, 1.1, 1.5])
TALK = FRAME_S / 0.12  # low-pass filter of speech, per frame, so that a click or a moving chair does not begin a phrase
PAUSE, HOLD = 0.22, (1.1, 2.8)  # seconds of silence that end a phrase; shortest and longest time that a pose is held
BLINK_CHANCE, BLINK_REST = 0.45, 1.4  # probability of a blink at the end of a phrase; minimum seconds between blinks
SPEECH_HOLD_S = 0.5  # seconds after its last sound for which a host still counts as speaking
STRESSED = 0.28


@dataclass(slots=True)
class Prosody:
    """Head pose, brows and effort of a speaker, advanced by every 10 ms of voice and by nothing else.

    The same voice at the same time therefore moves the same way.

    yaw, pitch, roll: degrees, the pose of this phrase. nod: degrees of pitch. brow: 0 to 1. silent: seconds since the
        last sound. effort: how much the mouth opens, about 1. presence: from 0 waiting to 1 speaking, eased.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    nod: float = 0.0
    brow: float = 0.0
    silent: float = 60.0
    effort: float = 1.0
    presence: float = 0.0
    yaw_speed: float = 0.0
    pitch_speed: float = 0.0
    roll_speed: float = 0.0
    nod_speed: float = 0.0
    brow_speed: float = 0.0
    to_yaw: float = 0.0
    to_pitch: float = 0.0
    to_roll: float = 0.0
    fast: float = 0.0
    slow: float = 0.0
    talk: float = 0.0
    hold: float = 0.0  # seconds until the pose may change
    blink: float = 60.0  # seconds since the last blink of this speaker began

    def advance_frame(self, frame: int, spoken: float, loud: float) -> None:
        """Advance by one frame of 10 ms.

        frame: its number on the channel clock, which seeds the random choices. spoken: probability of speech. loud:
            decibels relative to the voice's own level.
        """
        strength = spoken * float(10 ** (np.clip(loud, -40.0, 6.0) / 20))
        self.fast += FAST * (strength - self.fast)
        self.slow += SLOW * (strength - self.slow)
        stress = min(1.0, max(0.0, self.fast - 0.8 * self.slow))
        wanted = float(np.clip(1.05 + (loud + 3.0) / 32.0, 0.6, 1.1))
        self.effort += 0.3 * (wanted - self.effort)
        self.talk += TALK * (spoken - self.talk)
        self.presence += (
            FRAME_S / (0.1 if self.talk > 0.5 else 0.45) * ((1.0 if self.silent < PAUSE else 0.0) - self.presence)
        )
        self._phrase(frame, stress)
        self.nod, self.nod_speed = _spring(self.nod, self.nod_speed, NOD * stress, NOD_S)
        self.brow, self.brow_speed = _spring(self.brow, self.brow_speed, BROW * max(0.0, stress - STRESSED), BROW_S)
        self.yaw, self.yaw_speed = _spring(self.yaw, self.yaw_speed, self.to_yaw, POSE_S)
        self.pitch, self.pitch_speed = _spring(self.pitch, self.pitch_speed, self.to_pitch, POSE_S)
        self.roll, self.roll_speed = _spring(self.roll, self.roll_speed, self.to_roll, POSE_S)

    def _phrase(self, frame: int, stress: float) -> None:
        self.hold -= FRAME_S
        self.blink += FRAME_S
        if self.talk > 0.5:
            begins = self.silent > PAUSE
            if begins or (self.hold <= 0.0 and stress > STRESSED) or self.hold < -1.0:
                chance = np.random.default_rng([11, frame & 0xFFFFFFFF])
                # away from the current pose, so that the new pose differs from it
                self.to_yaw, self.to_pitch, self.to_roll = (
                    float(v) for v in chance.normal(0.0, POSE) - 0.35 * np.array([self.yaw, self.pitch, self.roll])
                )
                self.hold = float(chance.uniform(*HOLD))
            self.silent = 0.0
            return
        before = self.silent
        self.silent += FRAME_S
        if before <= PAUSE < self.silent:
            chance = np.random.default_rng([13, frame & 0xFFFFFFFF])
            # this blink is additional to the idle blinks, so it must not be close to one of them
            anyway = any(blink_closure(frame * FRAME_S + away) > 0.0 for away in (-0.75, -0.5, -0.25, 0.0, 0.25, 0.5))
            if self.blink > BLINK_REST and not anyway and chance.random() < BLINK_CHANCE:
                self.blink = 0.0
        if self.silent > SPEECH_HOLD_S:
            self.to_yaw = self.to_pitch = self.to_roll = 0.0

    @property
    def closure(self) -> float:
        """How far this speaker's own blink closes the lids, 0 to 1."""
        return closure_since(self.blink)

    @property
    def waiting(self) -> bool:
        """Whether there has been no speech for a while."""
        return self.silent > SPEECH_HOLD_S

    def save(self) -> NDArray[np.float64]:
        """Return all fields as one float64 vector, in their order."""
        return np.array(astuple(self))

    @classmethod
    def restored(cls, values: NDArray[np.float64]) -> "Prosody":
        """Return the prosody that `save` turned into a vector."""
        return cls(*(float(v) for v in values))


def _spring(value: float, speed: float, target: float, seconds: float) -> tuple[float, float]:
    """Advance a critically damped spring by one frame (implicit Euler, stable for any time constant)."""
    w = 1.0 / seconds
    speed = (speed + FRAME_S * w * w * (target - value)) / (1.0 + 2.0 * FRAME_S * w + FRAME_S * FRAME_S * w * w)
    return value + FRAME_S * speed, speed
