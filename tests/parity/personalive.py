"""The `personalive` engine compared with the original: every case of its recording script."""

from collections.abc import Callable, Iterator
from pathlib import Path

import diffusers
import numpy as np
import torch

from engines.liveportrait.networks.motion_extractor import MotionExtractor
from engines.personalive.head_pose import draw_key_points, face_boxes
from engines.personalive.networks.adapter_layers import MotionModule, TemporalModule
from engines.personalive.networks.motion_encoder import ConvBlock, HourGlass, MotionEncoder, PatchAttention
from engines.personalive.networks.pose_guider import PoseGuider
from engines.personalive.networks.schedule import TIMES, WINDOW_FRAMES, Schedule, alphas
from engines.personalive.networks.unet import DenoisingUNet, Memory, ReferenceUNet, join_memories
from engines.personalive.transfer import HeadTransfer
from tests.parity.personalive_loop import offline_stream, offline_whole, streaming
from tests.parity.personalive_networks import frames_first, loaded, tensor, unet_config
from tests.parity.recording import Case, Deviation, Pairs, levels_of

# Names of the banks in the original, in the order of the layers.
BANKS = ("d00", "d01", "d10", "d11", "d20", "d21", "m") + tuple(f"u{b}{i}" for b in (1, 2, 3) for i in range(3))


def schedule(case: Case) -> Pairs:
    ours = Schedule()
    clean, noise, predicted = (tensor(frames_first(case.given(name))) for name in ("clean", "noise", "eps"))
    noisy = ours.add_noise(clean, noise, slice(WINDOW_FRAMES))
    cleaner, frame = ours.denoise_level(noisy, predicted)
    yield "alphas", alphas(), case.found("alphas_cumprod")
    yield "times", np.array(TIMES), case.found("timesteps")
    yield "noisy", noisy, frames_first(case.found("noisy"))
    yield "cleaner", cleaner, case.found("prev")
    yield "clean", frame, case.found("x0")


def pose_image(case: Case) -> Pairs:
    points = tensor(case.given("kp"))
    for size, name in ((512, ""), (128, "128")):
        theirs = case.found("image" + name)
        yield "image" + name, draw_key_points(points, size).numpy().astype(theirs.dtype), theirs
        yield "boxes" + name, face_boxes(points, size), case.found("boxes" + name)


def pose_guider(case: Case) -> Pairs:
    for name, network in (("small", PoseGuider(32, (4, 8, 8, 16))), ("full", PoseGuider())):
        found = loaded(case, network, name)(tensor(frames_first(case.given(name))))
        yield name, found, frames_first(case.found(name))


def motion_extractor(case: Case) -> Pairs:
    network = loaded(case, MotionExtractor(depths=(1, 1, 2, 1), widths=(8, 16, 24, 32)), "small")
    portrait, driver, later = (tensor(case.given(name)).sigmoid() for name in ("ref", "dri", "nxt"))
    for name, found in network(driver).items():
        if name != "exp":
            yield name, found, case.found(f"head_{name}")
    head = HeadTransfer(network, portrait)
    lent, own = head.posed_key_points(driver)
    yield "first, lent", lent, case.found("first_kp")
    yield "first, lent, offline", lent, case.found("offline_kp")
    yield "first, driver", own, case.found("first_dri")
    lent, own = head.posed_key_points(later)
    yield "next, lent", lent, case.found("next_kp")
    yield "next, driver", own, case.found("next_dri")


def motion_encoder_parts(case: Case) -> Pairs:
    parts = {
        "block_wide": ConvBlock(16, 32),
        "block_same": ConvBlock(32, 32),
        "hourglass": HourGlass(2, 256),
        "attention": PatchAttention(32, 16, 2, heads=2, head_width=32),
    }
    for name, network in parts.items():
        given, found = case.given(name), case.found(name)
        if given.ndim == 5:
            given, found = given[:, :, 0], found[:, :, 0]
        yield name, loaded(case, network, name)(tensor(given)), found


def motion_encoder(case: Case) -> Pairs:
    network = loaded(case, MotionEncoder(), "full")
    yield "motion", network(tensor(frames_first(case.given("faces"))).tanh()), case.found("motion")[0]


def motion_extractor_full(case: Case) -> Pairs:
    network = loaded(case, MotionExtractor(), "full")
    for name, found in network(tensor(case.given("frames")).sigmoid()).items():
        if name != "exp":
            yield name, found, case.found(name)


def inserted_modules(case: Case) -> Pairs:
    hidden, motion = tensor(frames_first(case.given("hidden"))), tensor(case.given("motion")[0])
    moved = loaded(case, MotionModule(32), "motion")(hidden, motion)
    yield "motion", moved, frames_first(case.found("motion"))
    yield "temporal", loaded(case, TemporalModule(32), "temporal")(hidden), frames_first(case.found("temporal"))


def reference_unet(case: Case) -> Pairs:
    network = ReferenceUNet(**unet_config(case, "reference_unet"))
    bank = loaded(case, network, "reference_unet").read(tensor(case.given("latent")), tensor(case.given("clip")))
    for name, found in zip(BANKS, bank, strict=True):
        yield name, found, case.found("bank_" + name)


def denoising_unet(case: Case) -> Pairs:
    network = loaded(case, DenoisingUNet(**unet_config(case, "denoising_unet")), "denoising_unet")
    reference = loaded(case, ReferenceUNet(**unet_config(case, "reference_unet")), "reference_unet")
    clip, motion = tensor(case.given("clip")), tensor(case.given("motion")[0])
    latents, pose = (tensor(frames_first(case.given(name))) for name in ("latents", "pose"))
    times = network.times(torch.device("cpu"))
    memory = network.remember(reference.read(tensor(case.given("ref_latent")), clip), clip)
    yield (
        "alone",
        network(latents, times, Memory([], [], memory.constants), motion, pose),
        frames_first(case.found("alone")),
    )
    yield "with_reference", network(latents, times, memory, motion, pose), frames_first(case.found("with_reference"))
    for i in range(2):
        bank = reference.read(tensor(case.given(f"key_latent{i}")), clip)
        memory = join_memories(memory, network.remember(bank, clip))
        name = f"with_{i + 1}_keyframes"
        yield name, network(latents, times, memory, motion, pose), frames_first(case.found(name))
    yield "explicit", network(latents, times, memory, motion, pose), frames_first(case.found("explicit_2_keyframes"))


def checkpoint_merge(case: Case) -> Pairs:
    """Compare the number of tensors of each kind in the merged network; its config is that of the other UNet cases."""
    assert case.folder is not None
    other = Case.read(case.folder.parent / "denoising_unet")
    names = DenoisingUNet(**unet_config(other, "denoising_unet")).state_dict().keys()
    for kind, count in case.meta["keys"].items():
        yield kind, np.array(sum(kind == "all" or kind in name for name in names)), np.array(count)
    base = sum("_modules" not in name for name in names)
    yield "base", np.array(base), np.array(case.meta["base_keys_loaded"])


CASES: dict[str, Callable[[Case], Pairs]] = {
    each.__name__: each
    for each in (
        schedule,
        pose_image,
        pose_guider,
        motion_extractor,
        motion_encoder_parts,
        motion_encoder,
        motion_extractor_full,
        inserted_modules,
        reference_unet,
        denoising_unet,
        checkpoint_merge,
        streaming,
        offline_stream,
        offline_whole,
    )
}


def levels(dump: Path) -> Iterator[Deviation]:
    """Compare every case of a dump that `personalive_peer.py` wrote."""
    diffusers.utils.logging.set_verbosity_error()  # it warns without cause at every change of precision
    torch.set_num_threads(1)  # such small networks gain nothing from more
    return levels_of(CASES, dump)
