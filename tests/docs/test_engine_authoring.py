"""The engine of docs/engine-authoring.md, made as a reader makes it.

It is a package of its own that is listed, checked, rendered with and put on air.
"""

import json
import os
import re
import subprocess
import sys
from collections import deque
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from compositing.compose import Composer
from harness.channel import studio, wait_for
from shared.avatar.model import load_avatar
from shared.face.scripted import voice
from shared.media.mp4 import Mp4Writer
from shared.wire.bus import Reader
from shared.wire.message import Message
from shared.wire.program import frame_of
from tests.support.files.sound_files import wav

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "engine-authoring.md").read_text(encoding="utf-8")
MOVES = 0.5  # grey levels, mean over the frame; the noise of a still frame is below a tenth of it
ENGINE_LINES = 67  # lines of the engine that are not blank


def fenced(kind: str, number: int = 0) -> str:
    """Return a fenced block of this kind on the page, by default the first."""
    found: list[str] = re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(found) > number, f"the page has no {kind} {number}"
    return found[number]


@dataclass(frozen=True)
class Package:
    """The page's package, installed in a separate folder. environment: variables for processes that import it."""

    environment: dict[str, str]

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a module in a process that can import the package."""
        command = [sys.executable, "-m", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, encoding="utf-8", timeout=240
        )


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    pytest.importorskip("setuptools", reason="setuptools is not installed: `make setup-dev` brings it")
    source, target = tmp_path_factory.mktemp("nod"), tmp_path_factory.mktemp("installed")
    (source / "nod.py").write_text(fenced("python"), encoding="utf-8")
    (source / "pyproject.toml").write_text(fenced("toml"), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    made = subprocess.run(
        [*pip, "--target", str(target), str(source)], capture_output=True, encoding="utf-8", timeout=240
    )
    assert made.returncode == 0, made.stderr
    (target / "grey.py").write_text(fenced("python", 1), encoding="utf-8")
    plain = {key: value for key, value in os.environ.items() if not key.startswith("STUDIO_")}
    return Package(plain | {"PYTHONPATH": f"{target}{os.pathsep}{ROOT}", "COLUMNS": "160"})


def test_it_is_as_short_as_it_says_and_imports_the_public_interface_alone() -> None:
    lines = [line for line in fenced("python").splitlines() if line.strip()]
    assert len(lines) <= ENGINE_LINES
    imported = set(re.findall(r"^(?:from|import) (\S+)", fenced("python"), re.MULTILINE))
    assert imported == {"cv2", "numpy", "numpy.typing", "persona_studio.engine"}


def test_it_is_listed_and_keeps_every_rule(package: Package) -> None:
    rows = {row["name"]: row for row in json.loads(package.run("cli.app", "engines", "--json").stdout)}
    assert rows["nod"]["title"] == "Nod" and rows["nod"]["unavailable"] == ""
    checked = package.run("persona_studio.engine.testing", "nod:NodEngine")
    verdicts = [line.split()[0] for line in checked.stdout.splitlines()]
    assert checked.returncode == 0 and verdicts.count("ok") > 15 and "failed" not in verdicts, checked.stdout


def test_its_clip_engine_keeps_every_rule_and_renders(package: Package, live_home: Path, tmp_path: Path) -> None:
    checked = package.run("persona_studio.engine.testing", "grey:GreyEngine")
    verdicts = [line.split()[0] for line in checked.stdout.splitlines()]
    assert checked.returncode == 0 and verdicts.count("ok") > 7 and "failed" not in verdicts, checked.stdout
    speech, out = tmp_path / "speech.wav", tmp_path / "out.mp4"
    speech.write_bytes(wav(voice(2.0)[-48_000:]))
    own = {"STUDIO_ENGINES": json.dumps({"grey": "grey:GreyEngine"})}
    command = ("render", "--home", str(live_home), "--engine", "grey", "--driver", str(speech), "--out", str(out))
    made = replace(package, environment=package.environment | own).run("cli.app", *command, "--no-label")
    assert made.returncode == 0, made.stderr
    with av.open(str(out)) as rendered:
        levels = [frame.to_ndarray(format="gray").mean() for frame in rendered.decode(video=0)]
    assert len(levels) == 25 and levels[-1] > levels[0] + 100 and levels == sorted(levels)


def test_it_renders_a_voice_and_a_face(package: Package, live_home: Path, tmp_path: Path) -> None:
    face, speech, out = tmp_path / "face.mp4", tmp_path / "speech.wav", tmp_path / "out.mp4"
    speech.write_bytes(wav(voice(2.0)[-48_000:]))
    with av.open(str(live_home / "drivers" / "sample.mp4")) as source:
        shots = [frame.to_ndarray(format="yuv420p") for frame in islice(source.decode(video=0), 20, 70)]
    with Mp4Writer(face, shots[0].shape[1], shots[0].shape[0] * 2 // 3, Fraction(25), sound=False) as writer:
        for number, shot in enumerate(shots):
            writer.frame(np.asarray(shot, np.uint8), index=number)
    for driver in (face, speech):
        made = package.run(
            "cli.app", "render", "--home", str(live_home), "--engine", "nod", "--driver", str(driver), "--out", str(out)
        )
        assert made.returncode == 0, made.stderr
        with av.open(str(out)) as rendered:
            frames = [frame.to_ndarray(format="gray").astype(np.int16) for frame in rendered.decode(video=0)]
        assert len(frames) >= 24
        assert max(np.abs(frame - frames[0]).mean() for frame in frames) > MOVES, "it does not move"


def test_its_frames_are_in_the_live_program(package: Package, live_home: Path, run_root: Path) -> None:
    added = {"PYTHONPATH": package.environment["PYTHONPATH"]}
    started = ("--port", "0", "--engine", "nod", "--no-label")
    with studio(live_home, run_root, *started, environment=added) as run:
        run.on_air()
        assert run.state()["scene"]["engine"] == "nod"
        composer, shown, drawn = Composer(load_avatar(live_home / "avatars" / "sample")), [0], set[bytes]()
        readers = run.read("face"), run.read("program")
        faces = deque[Message](maxlen=200)

        def seen() -> bool:
            """Read the messages that have arrived; return whether enough frames match."""
            faces.extend(messages(readers[0]))
            drawn.update(each.array.tobytes() for each in faces)
            for frame in map(frame_of, messages(readers[1])):
                face = next((each for each in faces if each.fact("captured", int) == frame.captured), None)
                if frame.captured and frame.state == "live" and face is not None:
                    wanted = composer.compose(composer.background(frame.plate), frame.plate, face.array, 1.0)
                    shown[0] += np.array_equal(wanted.frame, frame.i420)
            return shown[0] > 10 and len(drawn) > 10

        wait_for(seen, what="the program shows frames of the engine, which move", every=0)
        run.end()


def messages(reader: Reader) -> list[Message]:
    """Return the image messages that have arrived."""
    return [each for each in reader.read() if each.format != "s16"] if reader.socket.poll(10) else []
