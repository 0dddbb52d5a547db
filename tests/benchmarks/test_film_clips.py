"""Speech and a turned head are found in clips whose frames are all known."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from benchmarks.film.clips import FRAMES, Base, BuiltClip, talking, turning
from benchmarks.film.understanding import followed, found_in, shares
from harness.filmed_body import filmed_body
from shared.face.finder import FaceFinder
from shared.media.colour import i420_to_rgb


@cache
def base() -> Base:
    """A film of a host whose mouth is closed, played to and fro."""
    plate, finder = filmed_body(talks=False).plate, FaceFinder()
    once = [i420_to_rgb(plate.frame(number)) for number in range(len(plate))]
    faces = [finder.track(image) for image in once]
    order = np.resize([*range(len(once)), *range(len(once) - 2, 0, -1)], FRAMES).tolist()
    return Base([once[number] for number in order], [face for number in order if (face := faces[number]) is not None])


@pytest.mark.parametrize("built", [talking, turning])
def test_what_a_clip_shows_is_found_where_it_shows(built: Callable[[Base], BuiltClip]) -> None:
    assert len(base().faces) == FRAMES
    clip = built(base())
    film = followed(clip)
    found, false = shares(clip, found_in(film, clip))
    assert found >= 0.95 and false <= 0.02, film.report.stretches
    if built is turning:
        seen = [face.pose.yaw for face in film.track.faces if face is not None]
        assert max(seen) > 25.0, "the face is lost as soon as it turns"
    mouths = found_in(film, BuiltClip(clip.name, clip.images, ("talking", "closed_mouth"), clip.truth))
    assert mouths == {number for number, face in enumerate(film.track.faces) if face is not None}
