"""The sliding window, the same loop live and offline.

At each call a chunk of four noisy frames enters, the network denoises every chunk of the window by one level, and the
oldest chunk leaves clean. When the driver's motion differs from all motion so far, the reference network also reads the
frame that leaves, as a keyframe that later frames stay consistent with; there are at most three keyframes. The host
makes this decision from motion that it received several calls earlier, so it does not wait for the device.
"""

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

from engines.personalive.networks.schedule import CHUNK_FRAMES, FILL, WINDOW_FRAMES, Schedule
from engines.personalive.networks.unet import DenoisingUNet, ReferenceUNet, join_memories
from engines.personalive.portrait import EncodedPortrait
from engines.personalive.streams import PendingTensor, begin_fetch

KEYFRAMES = 3
UNLIKE = 17.0  # distance from all remembered motions (512 numbers each) at which a motion gets a keyframe
SETTLED = 9  # calls before the first keyframe
Noise = Callable[[tuple[int, ...]], Tensor]  # normal noise of a shape, in the networks' precision


class DenoisingWindow:
    """The frames in progress on one portrait. The first dimension of every tensor is the frame, oldest first."""

    def __init__(
        self,
        reference: ReferenceUNet,
        denoising: DenoisingUNet,
        portrait: EncodedPortrait,
        noise: Noise,
        *,
        judged: int = 0,
    ) -> None:
        """Start at the portrait.

        judged: index in the window of the frame whose motion is compared with the remembered ones. It is the oldest by
            default, which is the frame that becomes the keyframe. The frames before the driver's first start as the
            portrait.
        """
        self.portrait = portrait
        self._reference, self._denoising, self._noise, self._judged = reference, denoising, noise, judged
        self._schedule = Schedule(portrait.latent.device)
        self._times = denoising.times(portrait.latent.device)
        start = portrait.latent.expand(FILL, -1, -1, -1)
        self.latents = self._schedule.add_noise(start, noise(tuple(start.shape)), slice(FILL))
        self.poses = start[:0]
        self.motions = start[:0]
        self.told: deque[PendingTensor] = deque()  # the window's motions, chunk by chunk, for the host
        self.known: list[PendingTensor] = []  # motions of the portrait and of the keyframes, at most 1 + KEYFRAMES
        self.keyframes = start[:0]  # their latents
        self.calls = 0
        self._memory = portrait.memory

    def next_chunk(self, poses: Tensor, motions: Tensor, rest: Tensor | None = None) -> Tensor:
        """Return the oldest chunk, clean: (4, 4, h, w) latents.

        poses: pose features of the 4 newest frames, (4, channels, h, w); motions: their tokens, (4, 32, 16). At the
            first call 16 of each, and rest: the portrait's own tokens, (1, 32, 16).
        """
        if rest is not None:
            self.known, self.poses, self.motions = [begin_fetch(rest)], poses[:0], motions[:0]
        self.note_motions(motions)
        unlike = self._unlike()
        self.poses, self.motions = _joined(self.poses, poses), _joined(self.motions, motions)
        newest = self.portrait.latent.expand(CHUNK_FRAMES, -1, -1, -1)
        newest = self._schedule.add_noise(newest, self._noise(tuple(newest.shape)), slice(FILL, WINDOW_FRAMES))
        frames = _joined(self.latents, newest)
        assert len(frames) == len(self.poses) == len(self.motions) == WINDOW_FRAMES
        predicted = self._denoising(frames, self._times, self._memory, self.motions, self.poses)
        cleaner, clean = self._schedule.denoise_level(frames, predicted)
        if unlike is not None:
            self.known.append(begin_fetch(unlike))
            self.add_keyframe(clean[:1].to(frames.dtype))
        self.latents = cleaner[CHUNK_FRAMES:].to(frames.dtype, copy=True)
        self.poses, self.motions = self.poses[CHUNK_FRAMES:], self.motions[CHUNK_FRAMES:]
        self.told.popleft()
        self.calls += 1
        return clean[:CHUNK_FRAMES].to(frames.dtype)

    def add_keyframe(self, latent: Tensor) -> None:
        """Add a keyframe, (1, 4, h, w), with which later frames stay consistent."""
        self.keyframes = torch.cat([self.keyframes, latent])
        bank = self._reference.read(latent, self.portrait.clip)
        self._memory = join_memories(self._memory, self._denoising.remember(bank, self.portrait.clip))

    def note_motions(self, motions: Tensor) -> None:
        """Start the transfer of motions, (f, 32, 16), to the host."""
        self.told.extend(begin_fetch(chunk) for chunk in motions.split(CHUNK_FRAMES))

    def _unlike(self) -> Tensor | None:
        """Return the motion judged in this call, (1, 32, 16) on the host, if it differs from all known; else None."""
        if self.calls < SETTLED or len(self.known) > KEYFRAMES:
            return None
        motion = self.told[self._judged // CHUNK_FRAMES]()[self._judged % CHUNK_FRAMES][None]
        known = torch.cat([each() for each in self.known])
        apart = torch.cdist(motion.flatten(1).float(), known.flatten(1).float())
        return motion if apart.min() > UNLIKE else None


def _joined(older: Tensor, newer: Tensor) -> Tensor:
    """Concatenate with the same memory layout at every call, including the first and one after a restored state.

    Another layout would change the networks' rounding, and a compiled network would be compiled again.
    """
    return torch.cat([older, newer]).contiguous()
