"""The loops of PersonaLive's original, compared chunk by chunk with our single window."""

from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from engines.personalive.head_pose import draw_key_points, steps_between
from engines.personalive.image_tensor import squashed
from engines.personalive.networks.networks import PersonaLiveNetworks
from engines.personalive.networks.schedule import CHUNK_FRAMES, CHUNKS, FILL
from engines.personalive.portrait import EncodedPortrait, read_portrait
from engines.personalive.transfer import POSE_SIZE_PX, HeadTransfer, Transfer
from engines.personalive.window import KEYFRAMES, DenoisingWindow, Noise
from tests.parity.personalive_networks import frames_first, networks, tensor
from tests.parity.recording import Array, Case, Pairs, distance

SIZE_PX = 128
FACE = slice(16, 112)  # the part of each frame that the offline cases use as the face


def pieces(noise: Iterator[Array]) -> Noise:
    """Return the recorded noise, in pieces of the size that the window asks for."""
    left: list[Tensor] = []

    def draw_from(shape: tuple[int, ...]) -> Tensor:
        if not left:
            left.extend(tensor(frames_first(next(noise))).split(CHUNK_FRAMES))
        taken, left[:] = left[: shape[0] // CHUNK_FRAMES], left[shape[0] // CHUNK_FRAMES :]
        return torch.cat(taken)

    return draw_from


def recorded_noise(case: Case) -> Noise:
    return pieces(case.given(f"noise{i:02d}") for i in count())


def in_unit(decoded: Tensor) -> Tensor:
    return (decoded / 2 + 0.5).clamp(0, 1)


def settle_threads(case: Case, ours: PersonaLiveNetworks, frame: Tensor, own: Tensor) -> None:
    """Set one thread or several, as in the recording.

    PyTorch resamples float32 with another kernel when it has several threads. The difference in rounding, 1e-8 of a
    motion token, would hide smaller mistakes in a float64 recording.
    """
    if ours.dtype != torch.float64:
        return
    for threads in (1, 2):
        torch.set_num_threads(threads)
        _, motions = Transfer(ours.extract, ours.encode, ours.guide, frame, own).pose_and_motion(
            tensor(case.given("frames00"))
        )
        if distance(motions[CHUNK_FRAMES:].numpy(), case.found("motion00")[0]) < 1e-9:
            return


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read
def streaming(case: Case) -> Pairs:
    """Compare the online loop: latents, motion, poses and frames after every chunk."""
    ours = networks(case)
    frame = case.given("image_reference")
    portrait = read_portrait(ours, frame, SIZE_PX)
    own = squashed(frame, POSE_SIZE_PX) / 2 + 0.5
    yield "reference latent", portrait.latent, case.found("ref_latent")
    yield "clip", portrait.clip, case.found("clip")
    yield "reference face", own, case.found("ref_face_input")
    window = DenoisingWindow(ours.reference, ours.denoising, portrait, recorded_noise(case))
    settle_threads(case, ours, portrait.image, own)
    transfer = Transfer(ours.extract, ours.encode, ours.guide, portrait.image, own)
    for entry in case.meta["log"]:
        i = entry["chunk"]
        poses, motions = transfer.pose_and_motion(tensor(case.given(f"frames{i:02d}")))
        clean = window.next_chunk(poses, motions, transfer.rest if i == 0 else None)
        video = in_unit(ours.decode(clean)).permute(0, 2, 3, 1)
        yield f"latents {i}", window.latents, frames_first(case.found(f"latents{i:02d}"))
        yield f"motion {i}", window.motions, case.found(f"motion{i:02d}")[0]
        yield f"pose {i}", window.poses.float(), frames_first(case.found(f"pose{i:02d}"))
        yield f"video {i}", video, case.found(f"video{i:02d}")
        yield f"keyframes {i}", np.array(len(window.keyframes)), np.array(entry["keyframes"])


def faces_of(frames: Array) -> Tensor:
    return torch.cat([squashed(frame[FACE, FACE], 224) for frame in frames])


class OfflineLoop:
    """The offline pipelines around the window: faces are cut out as given, and everything is resized by Lanczos."""

    def __init__(self, case: Case, judged: int) -> None:
        self.networks: PersonaLiveNetworks = networks(case)
        frame = case.given("image_reference")
        seen = np.asarray(Image.fromarray(frame).resize((224, 224)))
        self.portrait: EncodedPortrait = read_portrait(self.networks, frame, SIZE_PX, seen)
        self.head = HeadTransfer(self.networks.extract, squashed(frame, POSE_SIZE_PX) / 2 + 0.5)
        self.rest = self.encode(frame[None])
        parts = (self.networks.reference, self.networks.denoising, self.portrait)
        self.window = DenoisingWindow(*parts, recorded_noise(case), judged=judged)

    def encode(self, frames: Array) -> Tensor:
        found: Tensor = self.networks.encode(faces_of(frames).to(self.networks.dtype))
        return found

    def guide(self, frames: Array) -> Tensor:
        small = torch.cat([squashed(frame, POSE_SIZE_PX) for frame in frames]) / 2 + 0.5
        drawn = draw_key_points(self.head.posed_key_points(small)[0], SIZE_PX).to(self.networks.dtype)
        found: Tensor = self.networks.guide(drawn)
        return found

    def run(
        self, poses: Tensor, motions: Tensor, after: Callable[[int, Tensor], None] | None = None
    ) -> Iterator[Tensor]:
        """Yield the frames of each chunk, (4, 3, s, s) in 0..1; the first three chunks precede the driver."""
        motions = torch.cat([steps_between(self.rest, motions[:1], FILL), motions])
        for call in range(len(motions) // CHUNK_FRAMES - CHUNKS + 1):
            at = (
                slice(FILL + CHUNK_FRAMES * call, FILL + CHUNK_FRAMES * (call + 1))
                if call
                else slice(0, FILL + CHUNK_FRAMES)
            )
            clean = self.window.next_chunk(poses[at], motions[at], None if call else self.rest)
            if after is not None:
                after(call, clean[:1])
            yield in_unit(self.networks.decode(clean))


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read
def offline_stream(case: Case) -> Pairs:
    """Compare the offline pipeline that is the default.

    Once its memory of motions is full, the original adds a keyframe at every call, and ours does not. Frames after that
    are compared with a window that is made to add them, too.
    """
    frames = case.given("frames")
    padded = np.concatenate([frames, frames[-FILL - 1 : -1][::-1]])
    theirs = case.found("video")[0].swapaxes(0, 1)
    additions = case.meta["keyframe_bank_after_each_addition"][-1]
    offline = OfflineLoop(case, judged=FILL)
    poses, motions = offline.guide(padded), offline.encode(padded)
    calls = len(theirs) // CHUNK_FRAMES - max(
        0, additions - KEYFRAMES
    )  # calls whose frames were made before the fourth keyframe
    found = list(islice(offline.run(poses, motions), CHUNKS - 1 + calls))[CHUNKS - 1 :]
    yield "frames", torch.cat(found), theirs[: CHUNK_FRAMES * calls]
    yield "keyframes", np.array(len(offline.window.keyframes)), np.array(min(additions, KEYFRAMES))

    flawed = OfflineLoop(case, judged=FILL)

    def as_the_original(call: int, clean: Tensor) -> None:
        if full_since and call > full_since[0]:
            flawed.window.add_keyframe(clean)
        elif len(flawed.window.known) > KEYFRAMES:
            full_since.append(call)

    full_since: list[int] = []
    found = list(flawed.run(poses, motions, as_the_original))[CHUNKS - 1 :]
    yield "frames with the original's defect", torch.cat(found), theirs
    yield "keyframes with it", np.array(len(flawed.window.keyframes)), np.array(additions)


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read
def offline_whole(case: Case) -> Pairs:
    """Compare the offline pipeline that keeps everything in memory; the last frame is repeated to fill the end."""
    frames = case.given("frames")
    offline = OfflineLoop(case, judged=0)
    poses, motions = offline.guide(frames), offline.encode(frames)
    poses, motions = (torch.cat([each, *[each[-1:]] * FILL]) for each in (poses, motions))
    found = list(offline.run(poses, motions))[CHUNKS - 1 :]
    theirs: Any = case.found("video")[0]
    yield "frames", torch.cat(found), theirs.swapaxes(0, 1)
    additions = case.meta["keyframe_bank_after_each_addition"]
    yield "keyframes", np.array(len(offline.window.keyframes)), np.array(additions[-1] if additions else 0)
