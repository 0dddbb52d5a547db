"""Chooses a file's video and sound tracks as players do."""

from collections.abc import Sequence
from typing import TypeVar

import av

Track = TypeVar("Track", av.VideoStream, av.AudioStream)

_COVER = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
_BESIDE = (
    av.stream.Disposition.comment
    | av.stream.Disposition.visual_impaired
    | av.stream.Disposition.hearing_impaired
    | av.stream.Disposition.karaoke
    | av.stream.Disposition.clean_effects
    | av.stream.Disposition.dependent
    | av.stream.Disposition.non_diegetic
)


def video_of(container: av.container.InputContainer) -> av.VideoStream | None:
    """Return a file's video track, None if there is none: the track that is marked as default, else the first.

    Cover images are ignored. A track that cannot be decoded here is returned only if there is no other.
    """
    return _chosen([each for each in container.streams.video if not each.disposition & _COVER])


def sound_of(container: av.container.InputContainer) -> av.AudioStream | None:
    """Return a file's sound track, None if there is none.

    This is the track that is marked as default, else the first that is not a comment or an audio description.
    """
    return _chosen(container.streams.audio)


def _chosen(tracks: Sequence[Track]) -> Track | None:
    def order(track: Track) -> tuple[bool, bool, bool]:
        disposition = track.disposition
        return (
            track.codec_context is None,
            not disposition & av.stream.Disposition.default,
            bool(disposition & _BESIDE),
        )

    return min(tracks, key=order, default=None)
