"""PersonaLive offline, at test size.

Every driver frame has its own image, in one run and in segments by many workers.
"""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.support.engines.personalive_material import SMALLEST, driver, torch  # isort: skip
from tests.support.engines.personalive_material import avatar as own  # isort: skip

from engines.api import Driving, RoiFrame
from engines.personalive import engine, quality
from engines.personalive.driver import DriverView
from engines.personalive.options import PersonaLiveOptions
from engines.personalive.session import PersonaLiveSession
from engines.registry import load, load_frame_engine
from harness.tiny.personalive import make_weights
from services.renderer.job.foreground import render_file
from services.renderer.pipeline.engine_run import EngineRun
from shared.avatar.model import load_avatar
from shared.config.settings import Settings
from shared.errors import StudioError
from shared.face.tracker import FaceTracker
from shared.jobs.store import LocalStore
from shared.media.reader import VideoReader
from shared.runtime.arrays import from_bytes, to_bytes
from tests.support.files.media_material import chirp, decoded, packets
from tests.support.jobs.job_farm import JobFarm

FILM = Fraction(24000, 1001)
FRAMES, GONE = 34, range(5, 12)  # of the driver, and of those without a face
SEGMENT, IDLE = (
    0.2,
    0.1,
)  # seconds: as short as segments get, which is 32 frames; 2 without a face until the host idles
WIDTH, HEIGHT = 480, 320
NAME = "personalive"


@pytest.fixture(scope="module", autouse=True)
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make weights of tiny networks, which the settings name; quality "256" is smaller than a user's."""
    folder = tmp_path_factory.mktemp("weights")
    make_weights(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STUDIO_WEIGHTS", str(folder))
        patch.setenv("STUDIO_PERSONALIVE_QUALITY", "256")
        patch.setenv("PERSONA_STUDIO_CACHE", str(folder / "cache"))
        patch.setattr(quality, "LADDER", (*quality.LADDER[:3], SMALLEST))
        yield folder
    engine.shared_networks.cache_clear()


@pytest.fixture(scope="module")
def film(small_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the sample driver, on the left of a wide frame, at a film's rate, with sound; some frames have no face."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    with VideoReader(small_home / "drivers" / "sample.mp4") as reader:
        faces = [rgb for (_, rgb), _ in zip(reader, range(FRAMES), strict=False)]
    write(path, [None if i in GONE else rgb for i, rgb in enumerate(faces)])
    return path


def write(path: Path, faces: list[np.ndarray | None]) -> None:
    with av.open(str(path), "w") as container:
        seen = container.add_stream("libx264", rate=FILM)
        heard = container.add_stream("aac", rate=44_100, layout="mono")
        seen.width, seen.height, seen.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        seen.codec_context.time_base = 1 / FILM
        for number, face in enumerate(faces):
            pixels = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
            if face is not None:
                pixels[:, :HEIGHT] = cv2.resize(face, (HEIGHT, HEIGHT), interpolation=cv2.INTER_AREA)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, 1 / FILM
            container.mux(seen.encode(frame))
        samples = chirp(float(len(faces) / FILM), 44_100)
        for at in range(0, len(samples), 1024):
            block = av.AudioFrame.from_ndarray(samples[None, at : at + 1024], format="s16", layout="mono")
            block.sample_rate, block.pts, block.time_base = 44_100, at, Fraction(1, 44_100)
            container.mux(heard.encode(block))
        container.mux(seen.encode(None))
        container.mux(heard.encode(None))


def rendered(home: Path, driver: Path, out: Path) -> list[str]:
    """Check the times of the frames of `studio render`, and return their hashes."""
    avatar = load_avatar(home / "avatars" / "sample")
    assert render_file(avatar, driver, out, engine=NAME, idle_after=IDLE, segment_seconds=SEGMENT) == FRAMES
    stamps, hashes = decoded(out)
    assert stamps == [number / FILM for number in range(FRAMES)], "the driver's own rate, exactly"
    return hashes


def test_a_job_by_many_workers_shows_what_one_run_shows(
    small_home: Path, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rendered(small_home, film, tmp_path / "whole.mp4")
    store = LocalStore(tmp_path / "jobs")
    settings = Settings(home=small_home, jobs=str(store.root), segment_seconds=SEGMENT, idle_after=IDLE)
    farm = JobFarm(small_home, store, settings, tmp_path)
    job = farm.submit(film, NAME).id
    monkeypatch.setenv(
        "STUDIO_PERSONALIVE_SEED", "7"
    )  # the setting of the workers; the job keeps the setting of its submission
    outcomes: list[str] = []
    while not outcomes or outcomes[-1] != "nothing":
        outcomes.append(farm.worker().advance(job).outcome)  # a new worker each time, which has only the state on disk
    assert outcomes == ["done"] * 5 + ["nothing"]
    result = farm.result(job)
    stamps, hashes = decoded(result)
    assert hashes == whole and stamps == decoded(tmp_path / "whole.mp4")[0]
    assert packets(result, "audio") == packets(film, "audio"), "the sound is the driver's, packet by packet"
    shown = [hashes[i] for i in range(GONE.start + 2)] + hashes[GONE.stop :]
    assert len(set(shown)) == len(shown), "every driver frame has an image of its own"


def test_where_every_other_driver_frame_is_taken_none_is_missing(weights: Path) -> None:
    nets = engine.shared_networks(weights, "auto", "none")

    def half() -> EngineRun:
        return EngineRun(PersonaLiveSession(own(), nets, PersonaLiveOptions(seed=1), replace(SMALLEST, every=2)), 1)

    frames, first, last = list(driver(37)), half(), half()
    made = list(first.motion(frames[:33]))  # in the middle of a chunk and of a pair
    last.restore(from_bytes(to_bytes(first.save())))
    made += [*last.motion(frames[33:]), *last.flush()]
    shown = [frame for frame in made if isinstance(frame, RoiFrame)]
    assert [frame.pts for frame in shown] == [frame.pts for frame in frames]
    assert len({frame.pixels.tobytes() for frame in shown}) == 18, "each is shown for two, the last for three"


def test_a_film_without_a_face_is_one_sentence_and_no_file(small_home: Path, tmp_path: Path) -> None:
    write(tmp_path / "wall.mp4", [None] * 6)
    with pytest.raises(StudioError, match=r"No face was found in wall\.mp4"):
        rendered(small_home, tmp_path / "wall.mp4", tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["wall.mp4"]


def test_nothing_is_squashed(small_home: Path, film: Path) -> None:
    """A disc on the driver's nose is still a disc in the networks' input from a wide frame."""
    with VideoReader(film) as reader:
        frame = next(rgb for _, rgb in reader).copy()
    tracker = FaceTracker(still=True)
    (face,) = tracker.faces(frame)
    x, y = face.points[1, :2]
    cv2.circle(frame, (round(float(x)), round(float(y))), 25, (0, 255, 0), -1)
    view = DriverView(load_avatar(small_home / "avatars" / "sample").face, 256)
    view.update_view(Driving(0, face, face, frame))
    assert view.held is not None
    green = (view.held[..., 1].astype(int) - view.held[..., 0] > 120) & (view.held[..., 2] < 100)
    rows, columns = np.nonzero(green)
    assert len(rows) > 200
    spread = np.linalg.eigvalsh(np.cov(rows, columns))
    assert 0.94 < np.sqrt(spread[0] / spread[1]) <= 1.0


@pytest.mark.parametrize("name", ["reference_unet", "motion_encoder", "pose_guider", "motion_extractor"])
def test_weights_of_something_else_are_one_sentence(
    weights: Path, small_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    wrong = tmp_path / "weights"
    wrong.mkdir()
    for part in weights.iterdir():
        if part.name != NAME:
            (wrong / part.name).symlink_to(part)
    (wrong / NAME).mkdir()
    for file in (weights / NAME).iterdir():
        (wrong / NAME / file.name).symlink_to(file)
    (wrong / NAME / f"{name}.pth").unlink()
    monkeypatch.setenv("STUDIO_WEIGHTS", str(wrong))
    reason = load(NAME).probe()
    assert reason is not None and f"{name}.pth is missing" in reason.reason
    whole = (weights / NAME / f"{name}.pth").read_bytes()
    (wrong / NAME / f"{name}.pth").write_bytes(whole[: len(whole) // 2])
    reason = load(NAME).probe()
    assert reason is not None and "is truncated" in reason.reason
    torch.save({"of.something.else": torch.zeros(3)}, wrong / NAME / f"{name}.pth")
    with pytest.raises(StudioError, match=rf"{name}\.pth") as caught:
        load_frame_engine(NAME).open(load_avatar(small_home / "avatars" / "sample"))
    assert "\n" not in str(caught.value)
