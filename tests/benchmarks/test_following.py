"""`studio bench engine --avatar --driver`: how well the engine follows footage of the user's own."""

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from benchmarks.engines.following import TRACKED_AGAIN
from engines.api import Driving
from shared.avatar.build import add_avatar
from shared.avatar.samples import sample_portrait
from shared.face.scripted import Gesture, shape
from shared.media.mp4 import Mp4Writer
from tests.support.engines.mesh_material import avatar, session


def bench(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.app", "bench", "engine", *options],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        env={**os.environ, "STUDIO_HOME": str(home)},
    )


def write_driver(path: Path) -> None:
    """Write a video of a face that turns and speaks, but neither blinks nor tilts."""
    opened, face = session(), avatar().face
    with Mp4Writer(path, 512, 512, Fraction(25), sound=False) as writer:
        for index in range(50):
            gesture = Gesture(yaw=10 * np.sin(index / 6), mouth=0.4 * (1 - np.cos(index / 3)))
            pixels = opened.step(Driving(index * 40_000, shape(face, gesture), face))[0].pixels
            writer.frame(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YUV_I420), np.uint8), pts=index * 40_000)


def test_every_pair_is_judged_signal_by_signal(tmp_path: Path) -> None:
    driver, portrait = tmp_path / "driver.mp4", tmp_path / "portrait.png"
    write_driver(driver)
    cv2.imwrite(str(portrait), sample_portrait()[..., ::-1])
    add_avatar(tmp_path, "one", portrait, None, "public domain")
    done = bench(tmp_path, "--avatar", "one", "--driver", str(driver), "--json")
    assert done.returncode == 0, done.stderr
    rows = {(row["avatar"], row["signal"]): row for row in json.loads(done.stdout)["following"]}
    assert {name for name, _ in rows} == {TRACKED_AGAIN, "one"}
    for signal in ("yaw", "mouth"):
        assert rows["one", signal]["verdict"] == "follows", rows["one", signal]
        assert rows[TRACKED_AGAIN, signal]["correlation"] > 0.9
    assert rows["one", "roll"]["verdict"] == "hardly moves"


def test_one_option_without_the_other_is_one_sentence(tmp_path: Path) -> None:
    done = bench(tmp_path, "--avatar", "one")
    assert done.returncode != 0
    assert "--avatar and --driver go together" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
