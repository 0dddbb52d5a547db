"""The sliding window: the one loop of live and offline.

At each call a chunk of four noisy frames enters, the network cleans every chunk of the window by one level, and the
oldest leaves clean. When the driver's motion is unlike all seen so far, the frame that leaves is read by the reference
network too, as a keyframe that later frames stay consistent with; there are three of those at most. Whether it is one
the host decides, by motion that came to it calls before it is asked, so that it does not wait for the device.
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
UNLIKE = 17.0  # how far a motion (512 numbers) lies from every other that is remembered, to be worth a keyframe
SETTLED = 9  # calls before the first keyframe
Noise = Callable[[tuple[int, ...]], Tensor]  # normal noise of a shape, in the networks' precision


class DenoisingWindow:
    """The frames under way, on one portrait. Frames come first in every tensor, oldest first."""

    def __init__(
        self,
        reference: ReferenceUNet,
        denoising: DenoisingUNet,
        portrait: EncodedPortrait,
        noise: Noise,
        *,
        judged: int = 0,
    ) -> None:
        """judged: the frame of the window whose motion is held against those remembered.

        It is the oldest, which is the one that becomes the keyframe. Sets of frames that came before the driver start
        at the portrait.
        """
        self.portrait = portrait
        self._reference, self._denoising, self._noise, self._judged = reference, denoising, noise, judged
        self._schedule = Schedule(portrait.latent.device)
        self._times = denoising.times(portrait.latent.device)
        start = portrait.latent.expand(FILL, -1, -1, -1)
        self.latents = self._schedule.add_noise(start, noise(tuple(start.shape)), slice(FILL))
        self.poses = start[:0]
        self.motions = start[:0]
        self.told: deque[PendingTensor] = deque()  # the motions, chunk by chunk, for the host
        self.known: list[PendingTensor] = []  # motions that are no longer unlike all others, at most 1 + KEYFRAMES
        self.keyframes = start[:0]  # their latents
        self.calls = 0
        self._memory = portrait.memory

    def next_chunk(self, poses: Tensor, motions: Tensor, rest: Tensor | None = None) -> Tensor:
        """The oldest chunk, clean: (4, 4, h, w) latents.

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
        """Stay consistent with this frame, (1, 4, h, w), from now on."""
        self.keyframes = torch.cat([self.keyframes, latent])
        bank = self._reference.read(latent, self.portrait.clip)
        self._memory = join_memories(self._memory, self._denoising.remember(bank, self.portrait.clip))

    def note_motions(self, motions: Tensor) -> None:
        """Let the host know of motions, (f, 32, 16), as they come."""
        self.told.extend(begin_fetch(chunk) for chunk in motions.split(CHUNK_FRAMES))

    def _unlike(self) -> Tensor | None:
        """The motion that is judged in this call, (1, 32, 16) on the host, where it is unlike all that are known."""
        if self.calls < SETTLED or len(self.known) > KEYFRAMES:
            return None
        motion = self.told[self._judged // CHUNK_FRAMES]()[self._judged % CHUNK_FRAMES][None]
        known = torch.cat([each() for each in self.known])
        apart = torch.cdist(motion.flatten(1).float(), known.flatten(1).float())
        return motion if apart.min() > UNLIKE else None


def _joined(older: Tensor, newer: Tensor) -> Tensor:
    """Laid out the same at every call, the first and one that follows a restored state too.

    The networks' rounding would tell them apart, and what is compiled would be compiled again.
    """
    return torch.cat([older, newer]).contiguous()
