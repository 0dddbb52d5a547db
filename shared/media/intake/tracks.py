"""Which of a file's tracks count: the ones that a player takes."""

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
    """The video of a file, None where there is none: the track that is marked as default, else the first.

    The cover of a song is not one, and a track that nothing here decodes only where there is no other.
    """
    return _chosen([each for each in container.streams.video if not each.disposition & _COVER])


def sound_of(container: av.container.InputContainer) -> av.AudioStream | None:
    """The sound of a file, None where there is none.

    The track that is marked as default, else the first that is not a comment or description.
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
