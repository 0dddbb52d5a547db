"""Analyses a body film: follows its host in one pass and derives the report, the face's parts and the loop."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.avatar.film.join import Blend
from shared.avatar.film.judge import Flags, face_parts, find_shots, name_stretches, presence
from shared.avatar.film.loop import Round, choose_loop, whole_loop
from shared.avatar.film.report import UNFIT, FilmReport, Shot
from shared.avatar.film.still import choose_still
from shared.avatar.film.track import FilmTrack, HostFollower
from shared.errors import StudioError
from shared.media.array_types import ImageArray

FilmSpan = tuple[float, float]  # from and to, in seconds
_SPAN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*-\s*(\d+(?:\.\d+)?)\s*")


@dataclass(frozen=True, slots=True)
class Film:
    """An analysed film.

    parts: the runs of frames in which the face is placed, each as (first, end). shown: (N,) float32, opacity of the
    placed face in each frame. round: the order in which frames are played.
    """

    track: FilmTrack
    report: FilmReport
    parts: list[tuple[int, int]]
    shown: NDArray[np.float32]
    round: Round


def follow_film(name: str, images: Iterable[ImageArray], progress: Callable[[int], None]) -> FilmTrack:
    """Follow a film's host in one pass and return the track, which takes about 4 kB of memory per frame.

    name: the file's name, for errors. images: the frames, (H, W, 3) uint8 RGB. progress: called with the number of
    frames done. Raises StudioError if no frame shows a face.
    """
    follower = HostFollower()
    for number, image in enumerate(images, 1):
        follower.step(image)
        progress(number)
    track = follower.track
    if not any(face is not None for face in track.faces):
        raise StudioError(f"No face was found in {name}; use a body whose face is at least about 40 pixels high.")
    return track


def spans_of(words: Iterable[str]) -> tuple[FilmSpan, ...]:
    """Parse spans written as "FROM-TO" in seconds. Raises StudioError."""
    spans = []
    for word in words:
        match = _SPAN.fullmatch(word)
        if match is None or float(match[1]) >= float(match[2]):
            raise StudioError(f"A part to exclude is FROM-TO in seconds, such as 3.5-8 (got '{word[:40]}').")
        spans.append((float(match[1]), float(match[2])))
    return tuple(spans)


def understand_film(
    name: str,
    track: FilmTrack,
    fps: float,
    frame: Callable[[int], ImageArray],
    *,
    exclude: Sequence[FilmSpan] = (),
    still_s: float | None = None,
    as_it_is: bool = False,
) -> Film:
    """Derive from a film's track the report of its content and the order in which frames are played.

    frame: returns the (H, W, 3) uint8 RGB frame of a number; called for a few frames. exclude: spans that must not be
    shown. still_s: time of the still in seconds; None for the best frame. as_it_is: play the whole film, whatever it
    shows. Raises StudioError if everything is excluded or the still has no face.
    """
    excluded = _excluded(name, len(track), fps, exclude)
    shots = find_shots(track)
    parts = face_parts(track, shots, fps)
    stretches = name_stretches(track, shots, fps, excluded)
    unfit = np.zeros(len(track), np.bool_)
    for stretch in stretches:
        if stretch.kind in UNFIT:
            unfit[stretch.first : stretch.end] = True
    seen = [face for face in track.faces if face is not None]
    talking = sum(each.end - each.first for each in stretches if each.kind == "talking")
    if as_it_is:
        loop, played = whole_loop(track, shots)
    else:
        loop, played = choose_loop(track, shots, fps, unfit, excluded, frame)
    report = FilmReport(
        frames=len(track),
        fps=fps,
        shots=shots,
        stretches=stretches,
        loop=loop,
        still=choose_still(track, unfit) if still_s is None else _still_at(name, track, fps, still_s),
        closed_mouth=round(1 - talking / len(seen), 3),
        sharpness=round(float(np.median([face.sharpness for face in seen])), 4),
    )
    return Film(track, report, parts, presence(parts, shots, len(track), fps), played)


def _excluded(name: str, frames: int, fps: float, spans: Sequence[FilmSpan]) -> Flags:
    excluded = np.zeros(frames, np.bool_)
    for first, end in spans:
        excluded[max(0, round(first * fps)) : max(0, round(end * fps))] = True
    if frames and excluded.all():
        raise StudioError(f"All of {name} is excluded; leave a part to show.")
    return excluded


def _still_at(name: str, track: FilmTrack, fps: float, seconds: float) -> int:
    number = round(seconds * fps)
    if not 0 <= number < len(track):
        raise StudioError(f"{name} has no frame at {seconds:g} s; it lasts {len(track) / fps:.1f} s.")
    if track.faces[number] is None:
        raise StudioError(f"No face was found in {name} at {seconds:g} s; choose another second for the still.")
    return number


def by_part(
    parts: list[tuple[int, int]],
    shots: tuple[Shot, ...],
    frames: int,
    values: Callable[[int, int], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Return (N, ...) values for all frames, computed by `values(first, end)` for each part.

    Frames outside the parts get the value of the nearest frame with one in their shot, else in the film.
    """
    inside = {first: values(first, end) for first, end in parts}
    example = next(iter(inside.values()))
    out = np.zeros((frames, *example.shape[1:]))
    known = np.concatenate([np.arange(first, end) for first, end in parts])
    for first, end in parts:
        out[first:end] = inside[first]
    for shot in shots:
        own = known[(known >= shot.first) & (known < shot.end)]
        own = own if len(own) else known
        number = np.arange(shot.first, shot.end)
        after = np.clip(np.searchsorted(own, number), 0, len(own) - 1)
        before = np.maximum(after - 1, 0)
        out[number] = out[
            np.where(np.abs(own[before] - number) <= np.abs(own[after] - number), own[before], own[after])
        ]
    return out


def with_blends(values: NDArray[np.floating], blends: Sequence[Blend]) -> NDArray[np.float64]:
    """Return the (N, ...) values of a film's frames followed by interpolated values for its B cross-fade frames."""
    known = np.asarray(values, np.float64)
    if not blends:
        return known
    mixed = [(1 - each.weight) * known[each.before] + each.weight * known[each.after] for each in blends]
    return np.concatenate([known, np.stack(mixed)])
