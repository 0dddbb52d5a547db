"""How well a filmed body is analysed, on clips with a label for each frame, and how much memory a long film takes.

`python -m benchmarks.film.understanding [--json] [--seconds LONG] [FILM ...]`; without a film the sample's body. found:
share of the frames showing a kind in which it is found. false: share of the other frames in which it is found. moved:
greatest distance of the host's face from where it was filmed, as a share of its size, in frames in which it is placed.
"""

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.figures import BenchmarkFigures
from benchmarks.film.clips import FPS, FRAMES, Base, BuiltClip, base_of, clips
from benchmarks.film.memory import peak
from shared.avatar.film.build import Film, follow_film, understand_film
from shared.avatar.film.track import STABLE
from shared.avatar.samples import sample_portrait, write_body_video

SHORT_S, LONG_S = 10.0, 60.0


def measure(seconds: float | None = None, films: Sequence[Path] = ()) -> BenchmarkFigures:
    """Shares by film and clip, and the peak memory in MB of a body of 10 s and of a long one.

    seconds: length of the long one, 60 by default.
    """
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as scratch:
        if not films:
            films = [Path(scratch, "sample.mp4")]
            write_body_video(films[0], sample_portrait(), FRAMES)
        figures: BenchmarkFigures = {film.name: _understood(base_of(film)) for film in films}
        figures["worst"] = _worst(figures)
        for length in (SHORT_S, seconds or LONG_S):
            figures[f"{length:g}_s"] = peak(length, films[-1])
        return figures


def _understood(base: Base) -> BenchmarkFigures:
    figures: BenchmarkFigures = {}
    for clip in clips(base):
        film = followed(clip)
        found, false = shares(clip, found_in(film, clip))
        figures[clip.name] = {"false": false, **({"found": found} if clip.truth else {})}
        if clip.name in ("plain", "cross"):
            figures[clip.name]["moved"] = _moved(base, film)
    return figures


def followed(clip: BuiltClip) -> Film:
    """Return the film of a built clip, with its face followed and its frames understood."""
    track = follow_film(clip.name, clip.images, lambda done: None)
    return understand_film(clip.name, track, FPS, clip.images.__getitem__)


def found_in(film: Film, clip: BuiltClip) -> set[int]:
    """Numbers of the frames in which something of the clip's kinds was found."""
    found = {shot.first for shot in film.report.shots[1:]} if "cut" in clip.kinds else set()
    for stretch in film.report.stretches:
        if stretch.kind in clip.kinds:
            found |= set(range(stretch.first, stretch.end))
    return found


def shares(clip: BuiltClip, found: set[int]) -> tuple[float, float]:
    """Shares, 0 to 1, of the true frames that were found and of the others that were found too."""
    others = set(range(len(clip.images))) - clip.truth - clip.open
    return round(len(found & clip.truth) / max(len(clip.truth), 1), 3), round(
        len(found & others) / max(len(others), 1), 3
    )


def _moved(base: Base, film: Film) -> float:
    apart = [
        float(np.linalg.norm(face.stable.mean(axis=0) - there.points[STABLE, :2].mean(axis=0))) / there.size
        for face, there, shown in zip(film.track.faces, base.faces, film.shown, strict=True)
        if face is not None and shown > 0
    ]
    return round(max(apart), 3)


def _worst(figures: BenchmarkFigures) -> BenchmarkFigures:
    """Worst figures by kind of clip, over all films: least found, most false; for a cover also the mean."""
    by_kind: dict[str, list[dict[str, float]]] = defaultdict(list)
    for film in figures.values():
        for name, shares in film.items():
            by_kind[name.split("_")[0]].append(shares)
    return {
        kind: {
            "false": max(each["false"] for each in all_shares),
            "found": min(each.get("found", 1.0) for each in all_shares),
            "found_mean": round(float(np.mean([each.get("found", 1.0) for each in all_shares])), 3),
        }
        for kind, all_shares in by_kind.items()
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", nargs="*", type=Path)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    result = measure(given.seconds, given.films)
    print(json.dumps(result) if given.json else json.dumps(result, indent=1))
