"""The `stableavatar` engine compared with the original: every case that its recording script writes.

The transformer must agree within 3e-6; the loop, on recorded predictions, to the bit.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from transformers import Wav2Vec2Config, Wav2Vec2Model

from engines.stableavatar.condition import condition, image_tensor
from engines.stableavatar.decode import VideoDecoder
from engines.stableavatar.layout import LatentWindow, Layout, original_layout
from engines.stableavatar.loop.blend import Scheme, joined
from engines.stableavatar.loop.guidance import Guidance
from engines.stableavatar.loop.schedule import TRAINED_STEPS, euler, sigmas
from engines.stableavatar.networks.audio_adapter import AudioAdapter, grouped
from engines.stableavatar.networks.encoders import (
    encode_text,
    encode_video,
    hear,
    load_clip,
    load_text_encoder,
    load_vae,
    see_image,
)
from engines.stableavatar.networks.lora import LiveLora, lora_of, merge
from engines.stableavatar.networks.transformer import Sizes, Transformer
from engines.stableavatar.speech import heard_by
from tests.parity.level import Tolerance

TRANSFORMER, ENCODERS, LORA, LOOP = 3e-6, 4e-6, 5e-6, 1e-300  # greatest differences
CLIP_HEADS, WAV2VEC_HEADS = 4, 4  # of the toy sizes, which cannot be read from tensors
Check = Callable[[str, Tensor, Tensor], None]  # name, theirs, ours


@dataclass(frozen=True, slots=True)
class Recorded:
    """A case of a recording: its inputs, results and metadata.

    The weights of its networks may be kept by another case of the same recording.
    """

    tensors: Mapping[str, Tensor]
    meta: dict[str, Any]
    weights: Callable[[str], Mapping[str, Tensor]]
    image: Callable[[str], Tensor]
    beside: Callable[[str], "Recorded"]

    def given(self, name: str) -> Tensor:
        return self.tensors[f"in.{name}"]

    def found(self, name: str) -> Tensor:
        return self.tensors[f"out.{name}"]


def sizes(meta: Mapping[str, Any]) -> Sizes:
    return Sizes(
        dim=meta["dim"], heads=meta["num_heads"], layers=meta["num_layers"], feed_forward=meta["ffn_dim"],
        frequencies=meta["freq_dim"], text_width=meta["text_dim"], clip_width=meta["clip_dim"],
        audio_width=meta["audio_in_dim"],
    )  # fmt: skip


TOY = sizes(
    {"dim": 128, "num_heads": 4, "num_layers": 2, "ffn_dim": 256, "freq_dim": 64, "text_dim": 48, "clip_dim": 64,
        "audio_in_dim": 32}
)  # fmt: skip


def transformer(case: Recorded, of: Sizes = TOY) -> Transformer:
    network: Transformer = Transformer(of).eval()
    network.load_state_dict(case.weights("dit_cfg3_full"))
    return network


def dit(case: Recorded, check: Check) -> None:
    run(transformer(case, sizes(case.meta)), case, lambda found: check("velocity", case.found("noise"), found))


def run(network: Transformer, case: Recorded, then: Callable[[Tensor], None]) -> None:
    """Run the network on a case, and pass its output to `then`."""
    batch = case.meta["batch"]
    negative, prompt = case.given("context_neg"), case.given("context_pos")
    found = network(
        case.given("x"), case.given("y"), case.given("t")[:1],
        network.see([negative, negative, prompt][-batch:], case.given("clip_fea")[:1]), case.given("vocal"),
        heard=(False, True, True)[-batch:], frames=case.meta["window_frames"], tokens=case.meta["seq_len"],
        clip_level=case.meta["is_clip_level_modeling"],
    )  # fmt: skip
    then(found)


def vocal_projector(case: Recorded, check: Check) -> None:
    network = AudioAdapter(TOY.audio_width, TOY.dim).eval()
    network.load_state_dict(case.weights("vocal_projector"))
    for count in case.meta["lengths"]:
        features, tokens, e0, e = (case.given(f"{count}.{name}") for name in ("vocal", "latents", "e0", "e"))
        found = network(features, case.meta["frames"], tokens, (e0, e))
        check(f"{count} features", case.found(f"{count}.context"), found)


def vocal_split_table(case: Recorded, check: Check) -> None:
    for count in map(int, case.meta["table"]):
        numbers = torch.arange(1.0, count + 1).view(1, count, 1)
        found = grouped(numbers, case.meta["num_frames"])[0, :, :, 0]
        check(f"{count} features", case.found(f"{count}.token_ids_plus1"), found)


def vae(case: Recorded, check: Check) -> None:
    network = load_vae(case.weights("vae"))
    for frames in (1, 5, 17):
        check(f"{frames} encoded", case.found(f"enc{frames}.mode"), encode_video(network, case.given(f"enc{frames}")))
    for latents in (1, 5):
        parts = case.given(f"dec{latents}").split(1, 2)
        check(
            f"{latents} decoded",
            case.found(f"dec{latents}"),
            torch.cat(list(VideoDecoder(network).decode(parts)), 2),
        )


def umt5(case: Recorded, check: Check) -> None:
    network = load_text_encoder(case.weights("umt5"))
    for row, (ids, mask) in enumerate(zip(case.given("ids"), case.given("mask"), strict=True)):
        count = int(mask.sum())
        check(f"text {row}", case.found("hidden")[row, :count], encode_text(network, ids[None, :count]))


def clip_vision(case: Recorded, check: Check) -> None:
    check(
        "image",
        case.found("hidden"),
        see_image(load_clip(case.weights("clip_vision"), CLIP_HEADS), case.given("image")),
    )


def scheduler(case: Recorded, check: Check) -> None:
    for steps in (10, 30, 50):
        check(f"{steps} levels", case.found(f"sigmas{steps}"), sigmas(steps))
    levels, dtypes = sigmas(50), {"f32": torch.float32, "bf16": torch.bfloat16}
    for tag, dtype in dtypes.items():
        for step in (0, 7, 49):
            latents, velocity = case.given("x").to(dtype), case.given("noise").to(dtype)
            found = euler(latents, velocity, levels[step], levels[step + 1])
            check(f"step {step} {tag}", case.found(f"step{step}.{tag}"), found)


def layout_of(case: Recorded) -> Layout:
    return original_layout(
        len(case.given("audio")), Fraction(case.meta["fps"]), case.meta["overlap"], case.meta["window"]
    )


def loop(case: Recorded, check: Check) -> None:
    """Compare the loop, on the predictions of the original's transformer.

    In a case without predictions, only latents that depend on none are compared.
    """
    layout, levels, scheme = layout_of(case), sigmas(case.meta["steps"]), case.meta["scheme"]
    guidance = Guidance(case.meta["text_scale"], case.meta["audio_scale"], original=True)
    assert len(layout.windows) == case.meta["windows_per_step"]
    made: dict[tuple[int, int], Tensor] = {}
    for step, (before, after) in enumerate(pairwise(levels)):
        for window in layout.windows:
            latents = latents_before(case, layout, window, step, made, scheme)
            check(f"step {step} window {window.number}", case.found(f"step{step}.window{window.number}.x"), latents)
            velocity = guidance.guided(list(torch.split(case.found(f"step{step}.window{window.number}.noise"), 1)))
            made[step, window.number] = euler(latents, velocity, before, after)
        check(f"time {step}", case.found("timesteps")[step], before * TRAINED_STEPS)
    whole = LatentWindow(0, 0, layout.latents, (0, 0), 0)
    last = len(levels) - 2
    check("latents", case.found("latents"), joined(layout, whole, last, lambda w: made[last, w.number], scheme))


def latents_before(
    case: Recorded,
    layout: Layout,
    window: LatentWindow,
    step: int,
    made: Mapping[tuple[int, int], Tensor],
    scheme: Scheme,
) -> Tensor:
    if not step:
        return case.given("init_latents")[:, :, window.start : window.stop]
    return joined(layout, window, step - 1, lambda each: made[step - 1, each.number], scheme)


def around(case: Recorded, check: Check) -> None:
    """Compare the loop's inputs, and the video that is decoded from its latents."""
    network = load_vae(case.weights("vae"))
    size = tuple(8 * side for side in case.given("init_latents").shape[:-3:-1])
    image = image_of(case, size)
    check("condition", case.found("y"), condition(network, image, 4 * (case.meta["window"] - 1) + 1))
    layout, speech = layout_of(case), case.given("audio").numpy()
    hearing = wav2vec(case)
    for window in layout.windows:
        features = hear(hearing, heard_by(window, layout, speech, (0.0, 1.0)))
        check(f"speech {window.number}", case.found(f"step0.window{window.number}.vocal"), features)
    parts = case.found("latents").split(1, 2)
    video = torch.cat(list(VideoDecoder(network).decode(parts)), 2)
    check("video", case.found("video"), (video / 2 + 0.5).clamp(0, 1))


def image_of(case: Recorded, size: tuple[int, ...]) -> Tensor:
    image = Image.fromarray(np.asarray(case.image(case.meta["image"]), np.uint8))
    return image_tensor(np.asarray(image.resize((size[0], size[1]))))


def wav2vec(case: Recorded) -> Wav2Vec2Model:
    state = {
        name.removeprefix("wav2vec."): each
        for name, each in case.weights("pipeline_uniform").items()
        if name.startswith("wav2vec.")
    }
    config = Wav2Vec2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=WAV2VEC_HEADS, intermediate_size=64,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4, layerdrop=0.0,
    )  # fmt: skip
    network = Wav2Vec2Model(config).eval()
    network.load_state_dict(state)
    return network


def lora(case: Recorded, check: Check) -> None:
    """Compare a low-rank change, merged and live, on the inputs of the transformer's case."""
    base = case.beside("dit_cfg3_full")
    network, state = transformer(base), case.weights("lora")

    def found() -> Tensor:
        kept: list[Tensor] = []
        run(network, base, kept.append)
        return kept[0]

    changes = lora_of(state, network, "lora")
    live = LiveLora(network, changes)
    check("live", case.found("live"), found())
    live.remove()
    check("base", case.found("base"), found())
    merge(network, changes)
    check("merged", case.found("merged"), found())


CASES: dict[str, tuple[str, Callable[[Recorded, Check], None], float]] = {
    "transformer": ("dit_cfg3_full", dit, TRANSFORMER),
    "one sample": ("dit_b1_full", dit, TRANSFORMER),
    "short window": ("dit_cfg3_short_window", dit, TRANSFORMER),
    "clip level": ("dit_b1_clip_level", dit, TRANSFORMER),
    "audio adapter": ("vocal_projector", vocal_projector, TRANSFORMER),
    "audio groups": ("vocal_split_table", vocal_split_table, LOOP),
    "vae": ("vae", vae, ENCODERS),
    "umt5": ("umt5", umt5, ENCODERS),
    "clip": ("clip_vision", clip_vision, ENCODERS),
    "schedule": ("scheduler", scheduler, LOOP),
    "lora": ("lora", lora, LORA),
    "loop": ("pipeline_uniform", loop, LOOP),
    "around the loop": ("pipeline_uniform", around, ENCODERS),
}


def judged(name: str, case: Recorded) -> Tolerance:
    """Judge one level on a case."""
    _, compare, allowed = CASES[name]
    level = Tolerance(name, allowed, 0.0)
    with torch.no_grad():
        compare(case, lambda key, theirs, ours: level.check(key, theirs.float().numpy(), ours.detach().float().numpy()))
    return level


def recorded(dump: Path, name: str) -> Recorded:
    """Read a case of a dump."""
    return Recorded(
        tensors=load_file(dump / f"{name}.io.safetensors"),
        meta=json.loads((dump / f"{name}.json").read_text(encoding="utf-8"))["meta"],
        weights=cache(lambda of: load_file(dump / f"{of}.state.safetensors")),
        image=lambda file: torch.from_numpy(np.array(Image.open(dump / file).convert("RGB"))),
        beside=lambda other: recorded(dump, other),
    )


def levels(dump: Path) -> Iterator[Tolerance]:
    """Compare every case of a dump that `stableavatar_peer.py` wrote."""
    torch.set_num_threads(1)  # such small networks gain nothing from more
    return (judged(name, recorded(dump, case)) for name, (case, _, _) in CASES.items())
