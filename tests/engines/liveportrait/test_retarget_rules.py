"""The combination rules give the results of the original's own loop, under all 59 sets of options.

The vectors are the original's: its loop ran on motions and retargeting weights that follow from their names
(`tests.parity.golden_vectors.liveportrait_rules`).
"""

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")

from engines.liveportrait.motion import retarget_rules  # noqa: E402
from engines.liveportrait.motion.keypoints import KeypointMotion, row_rotations  # noqa: E402
from engines.liveportrait.motion.template import LivePortraitTemplate  # noqa: E402
from engines.liveportrait.networks import retargeting  # noqa: E402
from engines.liveportrait.networks.networks import of_arrays  # noqa: E402
from tests.parity.__main__ import main  # noqa: E402
from tests.parity.golden_vectors.liveportrait_rules import LAST_LAYER, OUT  # noqa: E402
from tests.parity.liveportrait_loop import PortraitSource, is_sized, options_of, still_run, video_run  # noqa: E402
from tests.parity.liveportrait_steps import OFFLINE_VARIANCE  # noqa: E402
from tests.parity.ruled import published_shapes, state  # noqa: E402

CROPPED, WHOLE, VIDEO = 0, 1, 2  # indices of sources: the still, the uncropped still, a video's first frame


@cache
def golden() -> dict[str, Any]:
    with np.load(OUT, allow_pickle=False) as data:
        return dict(data)


RUNS = json.loads(str(golden()["runs"]))


@cache
def sources() -> list[PortraitSource]:
    of = {name.removeprefix("source "): value for name, value in golden().items() if name.startswith("source ")}
    turns = row_rotations(of["pitch"], of["yaw"], of["roll"])
    out = []
    for i, turn in enumerate(turns):
        motion = KeypointMotion(of["scale"][i].reshape(()), turn, of["exp"][i], of["t"][i], of["kp"][i])
        own = retarget_rules.Ratios(of["eyes"][i], of["lips"][i])
        nothing = np.zeros((1, 1, 3), np.uint8)
        out.append(PortraitSource(nothing, np.eye(2, 3, dtype=np.float32), motion, torch.zeros(1), own))
    return out


def template(frames: slice) -> LivePortraitTemplate:
    of = {name.removeprefix("driver "): value[frames] for name, value in golden().items() if name.startswith("driver ")}
    rows = zip(of["scale"], of["R"], of["exp"], of["t"], strict=True)
    motions = [KeypointMotion(scale.reshape(()), turn, exp, t) for scale, turn, exp, t in rows]
    ratios = [retarget_rules.Ratios(eyes, lips[0]) for eyes, lips in zip(of["eyes"], of["lips"], strict=True)]
    return LivePortraitTemplate(motions, 25, ratios, motions[0])


@cache
def correctors() -> retarget_rules.Correctors:
    nets = []
    for sizes in (retargeting.STITCHING, retargeting.EYES, retargeting.LIPS):
        net = retargeting.Retargeting(sizes)
        net.load_state_dict(state(published_shapes(net)))
        net.mlp[-1].weight.data *= LAST_LAYER
        net.mlp[-1].bias.data *= LAST_LAYER
        nets.append(of_arrays(net.requires_grad_(False)))
    return retarget_rules.Correctors(*nets)


def driven(name: str) -> np.ndarray[Any, Any]:
    run = RUNS[name]
    options, frames = options_of(run), slice(4, 5) if run["template"] == "single" else slice(None)
    if run["source"] == "image":
        source = sources()[CROPPED if run.get("flag_do_crop", True) else WHOLE]
        out = still_run(source, template(frames), options, correctors(), is_sized(run))
    else:
        variance = run.get("driving_smooth_observation_variance", OFFLINE_VARIANCE)
        out = video_run(sources()[VIDEO:], template(frames), options, correctors(), variance)
    return np.stack([out[i] for i in sorted({0, len(out) // 2, len(out) - 1})])


def test_all_sets_of_options_are_there() -> None:
    assert len(RUNS) == 59


@pytest.mark.parametrize("name", RUNS)
def test_the_rules_are_the_originals(name: str) -> None:
    theirs = golden()[f"driven {name}"]
    assert np.abs(driven(name) - theirs).max() <= 2e-5 + 2e-5 * np.abs(theirs).max()


@pytest.mark.parametrize(
    ("what", "wrong", "name"),
    [
        ("LIPS", retarget_rules.EYES, "i2v_rel_lip"),
        ("FULL", retarget_rules.ALL, "i2v_abs_exp"),
        ("EYES_OPEN", 0.6, "v2v_eyefix_nostitch"),
        ("LIP_OPEN", 2.0, "i2v_normlip"),
    ],
)
def test_a_wrong_rule_is_seen(what: str, wrong: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retarget_rules, what, wrong)
    if what == "LIPS":
        monkeypatch.setitem(retarget_rules._SOME, "lip", wrong)
    assert np.abs(driven(name) - golden()[f"driven {name}"]).max() > 1e-3


def test_a_dump_that_is_not_whole_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "results").mkdir()  # as the peer script leaves it when it breaks early
    monkeypatch.setattr(sys, "argv", ["parity", "liveportrait", str(tmp_path)])
    assert main() == 2
    said = capsys.readouterr().out
    assert said.startswith(f"{tmp_path} is incomplete") and len(said.splitlines()) == 1
