"""A host made of a film alone speaks with the film's own face, in a render and in a job alike."""

import shutil
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.mesh.session import MeshSession
from engines.registry import load_frame_engine
from services.renderer.job.foreground import render_file
from shared.avatar.build import FilmChoice, add_avatar
from shared.avatar.model import load_avatar
from shared.avatar.samples import SAMPLE, SAMPLE_VIDEO, sample_portrait
from shared.config.settings import Settings
from shared.jobs.store import LocalStore
from shared.media.array_types import ImageArray
from shared.media.colour import rgb_to_i420
from shared.media.output_spec import OutputSpec
from shared.media.reader import Mp4Writer, VideoReader
from tests.support.files.sound_files import wav
from tests.support.files.voice_material import silence, sound_of, voiced
from tests.support.jobs.job_farm import JobFarm

WIDTH, HEIGHT, FPS, FILM_FRAMES = 240, 270, 25, 16
SEGMENT_S = 0.28  # 7 frames
PLAIN = OutputSpec(label=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose avatar `sample` is a film and nothing else."""
    folder = tmp_path_factory.mktemp("filmed")
    host = cv2.resize(sample_portrait()[0:720, 130:770], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    with Mp4Writer(folder / "host.mp4", WIDTH, HEIGHT, Fraction(FPS), sound=False, crf=12) as writer:
        for number in range(FILM_FRAMES):
            sway = np.array([[1.0, 0.0, 3 * np.sin(number / 4)], [0.0, 1.0, 0.0]])
            moved = cv2.warpAffine(host, sway, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
            writer.frame(rgb_to_i420(np.asarray(moved, np.uint8)), index=number)
    add_avatar(folder, SAMPLE, None, folder / "host.mp4", "mine", film=FilmChoice(keep=False))
    return folder


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    path = tmp_path / "speech.wav"
    path.write_bytes(wav(sound_of([silence(0.16), voiced("a", 0.4)])))
    return path


def shown(path: Path) -> list[ImageArray]:
    with VideoReader(path) as reader:
        return [np.array(rgb) for _, rgb in reader]


def test_a_film_alone_speaks_with_its_own_face_and_a_job_as_a_render_does(
    home: Path, voice: Path, tmp_path: Path
) -> None:
    avatar = load_avatar(home / "avatars" / SAMPLE)
    assert avatar.body_only
    renders = []
    for number, options in enumerate(({}, {"source": "body"}, {"source": "portrait"})):
        out = tmp_path / f"{number}.mp4"
        count = render_file(avatar, voice, out, output=PLAIN, segment_seconds=SEGMENT_S, options=options)
        renders.append(shown(out))
        assert len(renders[-1]) == count == 14
    by_itself, body, portrait = renders
    assert alike(by_itself, body) and not alike(by_itself, portrait)

    settings = Settings(home=home, jobs=str(tmp_path / "jobs"), segment_seconds=SEGMENT_S)
    farm = JobFarm(home, LocalStore(tmp_path / "jobs"), settings, tmp_path)
    job = farm.submit(voice, output=PLAIN)
    assert job.look == {"source": "auto"}
    farm.finish(job.id)
    assert alike(shown(farm.result(job.id)), by_itself)


def alike(one: list[ImageArray], other: list[ImageArray]) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def test_an_avatar_with_a_portrait_is_moved_by_it(sample_home: Path, tmp_path: Path) -> None:
    engine = load_frame_engine("mesh")
    avatars = shutil.copytree(sample_home / "avatars", tmp_path / "avatars")  # engines store measurements in it
    sessions = [engine.open(load_avatar(avatars / name)) for name in (SAMPLE, SAMPLE_VIDEO)]
    assert all(isinstance(each, MeshSession) for each in sessions)
