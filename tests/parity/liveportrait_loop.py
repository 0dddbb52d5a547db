"""LivePortrait's whole loop: the original's inputs of warping and decoding under every set of options."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.liveportrait.motion import crop, retarget_rules
from engines.liveportrait.motion.closed_lips import closed_lips
from engines.liveportrait.motion.keypoints import KeypointMotion, motions
from engines.liveportrait.motion.template import LivePortraitTemplate, parse_template
from engines.liveportrait.networks.networks import LivePortraitNetworks
from shared.media.array_types import FloatArray
from tests.parity import liveportrait_steps as steps
from tests.parity.level import Tolerance
from tests.parity.liveportrait_maths import ratios, square

EVERY = 65537  # one of so many values of a feature volume is kept in the dump


@dataclass(frozen=True, slots=True)
class PortraitSource:
    """One image of a source, with the extractors' results."""

    image: NDArray[np.uint8]
    matrix: NDArray[np.float32]
    motion: KeypointMotion
    volume: Tensor
    own: retarget_rules.Ratios


def options_of(run: Mapping[str, Any]) -> retarget_rules.RetargetOptions:
    """Translate the original's flags into our options."""
    return retarget_rules.RetargetOptions(
        region=run.get("animation_region", "all"),
        relative=run.get("flag_relative_motion", True),
        stitching=run.get("flag_stitching", True),
        eyes=run.get("flag_eye_retargeting", False),
        lips=run.get("flag_lip_retargeting", False),
        close_lips=run.get("flag_normalize_lip", False),
        steady_eyes=run.get("flag_source_video_eye_retargeting", False),
        multiplier=run.get("driving_multiplier", 1.0),
    )


def is_sized(run: Mapping[str, Any]) -> bool:
    """Whether the original scales a still source's movement by the sizes of the two faces."""
    return bool(run.get("driving_option", "expression-friendly") == "expression-friendly")


def loop(dump: Path, networks: LivePortraitNetworks) -> Tolerance:
    level = Tolerance("pipeline", 2e-5, 2e-5)
    runs = json.loads((dump / "manifest.json").read_text(encoding="utf-8"))["pipeline_runs"]
    with np.load(dump / "inputs/pipeline_landmarks.npz") as data:
        points = dict(data)
    with np.load(dump / "results/pipeline_motion.npz") as data:
        theirs = dict(data)
    still = limited(dump / "inputs/source.png")

    @cache
    def source(cropped: bool) -> PortraitSource:
        matrix = square(points["source106"], 2.3, -0.125).to_crop(crop.SIDE)
        return seen(networks, still, matrix if cropped else None, points["source203"])

    @cache
    def video() -> list[PortraitSource]:
        frames = [limited(path) for path in sorted((dump / "inputs/source_frames").glob("*.png"))]
        clouds = [points[f"video203_{i}"] for i in range(len(frames))]
        return [
            seen(networks, frame, square(cloud, 2.3, -0.125).to_crop(crop.SIDE), cloud)
            for frame, cloud in zip(frames, clouds, strict=True)
        ]

    for name, run in runs.items():
        template = parse_template(dump / "inputs/templates" / f"{run['template']}.pkl")
        options, nets = options_of(run), networks.correctors()
        if run["source"] == "image":
            one = source(run.get("flag_do_crop", True))
            driven = still_run(one, template, options, nets, sized=is_sized(run))
            sources = [one] * len(driven)
        else:
            sources = video()
            variance = run.get("driving_smooth_observation_variance", steps.OFFLINE_VARIANCE)
            driven = video_run(sources, template, options, nets, variance)
            sources = sources[: len(driven)]
            samples = np.stack([each.volume.flatten()[::EVERY].numpy() for each in sources])
            level.check(f"{name} volume", theirs[f"{name}:f_s_sample"], samples)
        level.check(f"{name} source", theirs[f"{name}:x_s"], np.stack([each.motion.points for each in sources]))
        level.check(name, theirs[f"{name}:x_d"], np.stack(driven))
    template = parse_template(dump / "inputs/templates/seq3.pkl")
    one = source(True)
    driven = still_run(one, template, retarget_rules.RetargetOptions(), networks.correctors())
    level.check("pasted", theirs["final_pasted"], np.stack([drawn(networks, one, points) for points in driven]))
    return level


def still_run(
    source: PortraitSource,
    template: LivePortraitTemplate,
    options: retarget_rules.RetargetOptions,
    nets: retarget_rules.Correctors,
    sized: bool = True,
) -> list[FloatArray]:
    """Return the keypoints of every frame of a still source. sized: see `is_sized`."""
    moving = len(template.motions) > 1
    closed = None if moving else closed_lips()
    anchor, own = template.motions[0], source.motion.points
    out, first = [], own
    for i, driver in enumerate(template.motions):
        points = retarget_rules.onto_still(source.motion, driver, anchor, options, closed)
        if options.relative and sized and moving:
            first = points if i == 0 else first
            points = steps.friendly(own, points, first, steps.size_ratio(own, first))
        wanted = template.ratios[i] if template.ratios else None
        out.append(retarget_rules.corrected(own, points, options, nets, source.own, wanted))
    return out


def video_run(
    sources: list[PortraitSource],
    template: LivePortraitTemplate,
    options: retarget_rules.RetargetOptions,
    nets: retarget_rules.Correctors,
    variance: float,
) -> list[FloatArray]:
    """Return the keypoints of every frame of a source video."""
    moving = len(template.motions) > 1
    count = min(len(sources), len(template.motions)) if moving else len(sources)
    sources = sources[:count]
    drivers = template.motions[:count] if moving else template.motions * count
    closed = None if moving else closed_lips()
    wanted_motion = [
        retarget_rules.onto_frame(source.motion, driver, drivers[0], options, closed)
        for source, driver in zip(sources, drivers, strict=True)
    ]
    exps, turns = (np.stack(track) for track in zip(*wanted_motion, strict=True))
    if moving:
        exps, turns = steps.smoothed(exps, variance), steps.smoothed(turns, variance)
    steady = retarget_rules.steady_opening(sources[0].own)
    out = []
    for i, (source, driver) in enumerate(zip(sources, drivers, strict=True)):
        points = retarget_rules.onto_moving(source.motion, driver, exps[i], turns[i], options)
        wanted = template.ratios[i if moving else 0] if template.ratios else None
        out.append(retarget_rules.corrected(source.motion.points, points, options, nets, source.own, wanted, steady))
    return out


def seen(
    networks: LivePortraitNetworks, image: NDArray[np.uint8], matrix: NDArray[np.float32] | None, cloud: FloatArray
) -> PortraitSource:
    """Run an image through crop and extractors; without a matrix, the whole image is the crop."""
    if matrix is None:
        small = cv2.resize(image, (crop.INPUT, crop.INPUT))
        matrix = np.eye(2, 3, dtype=np.float32)
    else:
        cut = crop.cut_crop(image, matrix, crop.SIDE)
        small = cv2.resize(cut, (crop.INPUT, crop.INPUT), interpolation=cv2.INTER_AREA)
    prepared = networks.prepared(np.asarray(small, np.uint8))
    return PortraitSource(
        image, matrix, motions(networks.heads(prepared))[0], networks.appearance(prepared), ratios(cloud)
    )


def drawn(networks: LivePortraitNetworks, source: PortraitSource, driven: FloatArray) -> NDArray[np.uint8]:
    """Draw the driven face into the whole image."""
    own, points = (torch.from_numpy(x)[None] for x in (source.motion.points, driven))
    out = networks.decoder(networks.warping(source.volume, own, points).out)
    return steps.pasted(to_bytes(out)[0], source.matrix, source.image)


def to_bytes(out: Tensor) -> NDArray[np.uint8]:
    """Convert (B, 3, H, W) 0..1 to (B, H, W, 3) uint8, truncated and not rounded, as in the original."""
    return np.asarray((out.clamp(0, 1) * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous(), np.uint8)


def limited(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path))
    assert image is not None, path
    return np.ascontiguousarray(steps.limited(np.asarray(image[..., ::-1], np.uint8)))
