"""A driver's timeline: its duration, the rate at which it is rendered, and the frame that each tick shows.

Ticks are at ``k / rate`` seconds after the driver's first frame (for a voice, its first sound). A tick shows the last
frame that is at most half a tick later than the tick, so frames of an uneven or different rate are repeated or skipped.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from shared.errors import StudioError, short
from shared.media.array_types import ImageArray
from shared.media.intake.damage import Damage, packets
from shared.media.intake.stamps import stated_rate
from shared.media.reader import VideoReader, open_container, sound_of, source_title, video_of
from shared.runtime.clock import US, tick_pts

Stamps = NDArray[np.int64]

VOICE_RATE_FPS = Fraction(25)
_WHOLE = (10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 100, 120, 240)
USUAL_RATES = (Fraction(25, 2), *map(Fraction, _WHOLE), *(Fraction(1000 * n, 1001) for n in (24, 30, 60, 120)))
SLOWEST_MOTION_FPS = 5  # a face's motion cannot be told from fewer frames a second
LOWEST_RATE, HIGHEST_RATE = Fraction(1), Fraction(240)
STAMP_SLACK_US = 1_100  # tolerance for stamps of a constant rate: some containers round to milliseconds
MAX_HOURS = 24  # a longer duration comes from a broken time stamp
BREAKS_OFF_S = 0.5  # tolerated difference between a file's stated and real duration: sound and video end separately
SOUND_SLACK_US = 100_000  # by which sound may be longer than the frames: encoders fill their last block


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """A driver's frames and sound on one clock.

    kind: type of the driver. rate: ticks per second. ticks: number of ticks of the whole driver. duration: seconds,
    exact. variable: whether the frames are uneven or have another rate than `rate`. has_sound: whether the driver has a
    sound track for the output. pts: (N,) int64, presentation time of each frame in microseconds after the first,
    rising; empty for a voice. notes: sentences for the user.
    """

    kind: Literal["motion", "voice"]
    rate: Fraction
    ticks: int
    duration: Fraction
    variable: bool
    has_sound: bool
    pts: Stamps
    notes: tuple[str, ...] = ()

    @property
    def frames_end(self) -> Fraction:
        """Seconds until the end of the last frame, regardless of the sound; for a voice, its duration."""
        return Fraction(int(self.pts[-1]), US) + 1 / self.rate if len(self.pts) else self.duration

    def shown(self, begin: int, end: int) -> Stamps:
        """Return the (end - begin,) int64 numbers of the driver's frames that the ticks `begin` to `end` - 1 show."""
        limits = np.array([tick_limit(tick, self.rate) for tick in range(begin, end)], np.int64)
        return np.asarray(np.maximum(np.searchsorted(self.pts, limits, side="right") - 1, 0), np.int64)


def tick_limit(tick: int, rate: Fraction) -> int:
    """Return the latest pts in microseconds of a frame that this tick may show: half a tick after the tick."""
    return (2 * tick + 1) * US * rate.denominator // (2 * rate.numerator)


def shown_frames(
    driver: Path, rate: Fraction, begin: int, end: int, max_side: int | None = None, lost: list[int] | None = None
) -> Iterator[tuple[int, ImageArray, bool]]:
    """Yield the frame for each tick from `begin` to `end` - 1.

    Each item is the tick's pts (microseconds), (H, W, 3) uint8 RGB, and whether the frame differs from that of the tick
    before. The result does not depend on how a driver is divided into ranges of ticks.

    rate: rate of the timeline. The array is borrowed: ticks that show the same frame yield the same array. lost: after
    the last tick, receives the pts of the frames in the range that could not be decoded. Raises StudioError if the
    driver cannot be read to the end.
    """
    first = max(0, begin - 1)  # the tick before `begin` decides whether the frame of `begin` is new
    with VideoReader(driver, max_side, start=tick_limit(begin - 1, rate) if begin else 0) as reader:
        ticks = range(first, end)
        for tick, (rgb, new) in zip(ticks, reader.shown_at(tick_limit(k, rate) for k in ticks), strict=True):
            if tick >= begin:
                yield tick_pts(tick, rate), rgb, new
        if lost is not None:
            origin = reader.origin or 0
            after = tick_limit(begin - 1, rate) if begin else None
            stamps = (stamp - origin for stamp in reader.damage.stamps)
            lost += [at for at in stamps if (after is None or at > after) and at <= tick_limit(end - 1, rate)]


def read_timeline(
    driver: Path, rate: Fraction | None = None, kind: Literal["motion", "voice"] | None = None
) -> Timeline:
    """Return the timeline of a video or sound file. Reads every packet but decodes at most one frame.

    rate: the wanted rate. None chooses the frames' exact rate if it is constant, else the nearest usual rate; 25 for a
    voice and for video below SLOWEST_MOTION_FPS. kind: "voice" ignores the frames of a video; None chooses motion if
    there are frames. The duration is the longer one of frames and sound. Raises StudioError for a driver that cannot be
    opened, is empty, or has neither frames nor sound that can be decoded.
    """
    name = source_title(driver)
    with open_container(driver) as container:
        video = video_of(container) if kind != "voice" else None
        sound = sound_of(container)
        if video is None and sound is None:
            raise StudioError(f"{name} has neither video nor sound; give a video or sound file.")
        streams = [each for each in (video, sound) if each is not None]
        found = _stamps(container, streams, name)
        shown, heard = found[streams[0].index], found[sound.index] if sound is not None else None
        promised = _promised(container, streams[0])
        reported = Fraction(video.average_rate or video.guessed_rate or 0) if video is not None else Fraction(0)
    pts, last = shown.pts, shown.last
    if not len(pts):
        raise StudioError(f"{name} contains no {'video' if video else 'sound'}; export or download it again.")
    if video is None:
        duration = Fraction(int(pts[-1]) - int(pts[0]) + max(last, 0), US)
        notes = breaks_off(name, float(duration), promised)
        return _timeline(name, "voice", rate or VOICE_RATE_FPS, duration, False, True, np.empty(0, np.int64), notes)
    origin = _first_shown(driver, pts)
    pts = pts - origin
    pts = np.unique(pts[pts >= 0])
    steady = _steady_rate(pts, reported)
    own = steady or _nearest_usual(pts, reported)
    duration = _duration(pts, steady, last, own)
    notes = _notes(name, duration, promised, heard, origin)
    if heard is not None and len(heard.pts) and heard.end - origin > duration * US + SOUND_SLACK_US:
        duration = Fraction(heard.end - origin, US)
    if own < SLOWEST_MOTION_FPS:
        own = VOICE_RATE_FPS
    variable = steady is None or steady != (rate or own)
    return _timeline(name, "motion", rate or own, duration, variable, heard is not None, pts, notes)


def _notes(
    name: str, duration: Fraction, promised: float | None, heard: "_Packets | None", origin: int
) -> tuple[str, ...]:
    """Sentences on missing parts of a film and on sound and frames of different length. duration: the frames'."""
    there = heard is not None and len(heard.pts)
    lasted = max(float(duration), (heard.end - origin) / US if heard is not None and there else 0.0)
    notes = list(breaks_off(name, lasted, promised))
    if heard is not None and there:
        longer, earlier = (heard.end - origin) / US - float(duration), (origin - int(heard.pts[0])) / US
        if longer > SOUND_SLACK_US / US:
            notes.append(
                f"The sound of {name} lasts {longer:.1f} s longer than its frames; the last frame stays until it ends."
            )
        if earlier > SOUND_SLACK_US / US:
            notes.append(f"The sound of {name} begins {earlier:.1f} s before its first frame; that much of it is cut.")
    return tuple(notes)


def _timeline(
    name: str,
    kind: Literal["motion", "voice"],
    rate: Fraction,
    duration: Fraction,
    variable: bool,
    sound: bool,
    pts: Stamps,
    notes: tuple[str, ...],
) -> Timeline:
    if duration > MAX_HOURS * 3600:
        raise StudioError(f"{name} lasts {float(duration) / 3600:.0f} hours, more than {MAX_HOURS}; cut it into parts.")
    return Timeline(kind, rate, max(1, round(duration * rate)), duration, variable, sound, pts, notes)


def breaks_off(name: str, seconds: float, promised: float | None) -> tuple[str, ...]:
    """Return the sentence for a file that is shorter than it states, as a tuple that is empty for any other."""
    if promised is None or seconds >= promised - max(BREAKS_OFF_S, 0.02 * promised):
        return ()
    return (
        f"{name} ends after {seconds:.1f} of {promised:.1f} seconds; only this part is used. Copy or download it again "
        "for the rest.",
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Packets:
    """Times of a track's packets.

    pts: (N,) int64, sorted, microseconds on the file's clock. last: duration of the last packet in microseconds, or 0.
    """

    pts: Stamps
    last: int

    @property
    def end(self) -> int:
        """End of the last packet in microseconds on the file's clock."""
        return int(self.pts[-1]) + self.last


def _stamps(
    container: av.container.InputContainer, streams: list[av.VideoStream | av.AudioStream], name: str
) -> dict[int, _Packets]:
    """The packets' times of each of these tracks, by the track's index."""
    counts: dict[int, list[int]] = {stream.index: [] for stream in streams}
    missing, durations = dict.fromkeys(counts, 0), dict.fromkeys(counts, 0)
    try:
        for packet in packets(container, streams, Damage()):
            if not packet.size or packet.is_discard:
                continue
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is None:
                missing[packet.stream_index] += 1
                continue
            counts[packet.stream_index].append(stamp)
            durations[packet.stream_index] = packet.duration or 0
    except (av.error.FFmpegError, OSError) as error:
        raise StudioError(
            f"{name} cannot be read any further ({short(error)}); check that it plays elsewhere."
        ) from None
    found = {}
    for stream in streams:
        if missing[stream.index] and not counts[stream.index]:
            # A raw stream without time stamps: its frames have the rate that the file states.
            rate = stated_rate(stream) if isinstance(stream, av.VideoStream) else VOICE_RATE_FPS
            ticks = [tick_pts(number, rate) for number in range(missing[stream.index])]
            found[stream.index] = _Packets(np.array(ticks, np.int64), 0)
            continue
        scale = (stream.time_base or Fraction(1, US)) * US
        stamps = np.sort(np.array(counts[stream.index], np.int64)) * scale.numerator // scale.denominator
        found[stream.index] = _Packets(stamps, int(durations[stream.index] * scale))
    return found


def _promised(container: av.container.InputContainer, stream: av.VideoStream | av.AudioStream) -> float | None:
    """Duration in seconds that the file's index states, None without an index; it reveals that a part is missing."""
    if container.format.name.startswith("mov,") and stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.format.name.startswith("matroska") and container.duration and abs(container.start_time or 0) < US:
        return container.duration / US
    return None


def _first_shown(driver: Path, pts: Stamps) -> int:
    """The pts of the first frame that can be decoded, in microseconds on the file's clock.

    Raises StudioError if there is none or if frames are too large.
    """
    with VideoReader(driver) as reader:
        return reader.origin if reader.origin is not None else int(pts[0])


def _steady_rate(pts: Stamps, reported: Fraction) -> Fraction | None:
    """The constant rate of the frames, None if they have none."""
    if len(pts) < 2:
        return reported if LOWEST_RATE <= reported <= HIGHEST_RATE else None
    mean = Fraction(len(pts) - 1) * US / int(pts[-1])
    candidates = {reported, *USUAL_RATES, mean.limit_denominator(1001)}
    numbers = np.arange(len(pts))
    fits: list[tuple[int, int, Fraction]] = []
    for rate in candidates:
        if not LOWEST_RATE <= rate <= HIGHEST_RATE or abs(rate - mean) > mean / 20:
            continue
        off = pts - numbers * float(US / rate)
        spread = float(off.max() - off.min()) / 2
        if spread <= STAMP_SLACK_US:
            # Short files fit several rates equally well: prefer usual rates, among them the one that the file states.
            stated = abs(rate - reported) * 10_000 < rate
            fits.append((round(spread / 250), (not stated) + 2 * (rate not in USUAL_RATES), rate))
    return min(fits)[2] if fits else None


def _nearest_usual(pts: Stamps, reported: Fraction) -> Fraction:
    """The usual rate nearest to the most common rate of uneven frames.

    Gaps, where a phone or a screen recorder skipped frames, are ignored.
    """
    if len(pts) < 2:
        return reported if LOWEST_RATE <= reported <= HIGHEST_RATE else VOICE_RATE_FPS
    steps = np.diff(pts)
    middle = float(np.median(steps))
    common = steps[(steps > 0.6 * middle) & (steps < 1.4 * middle)]
    mostly = US / float(common.mean()) if len(common) else US / middle
    return min(USUAL_RATES, key=lambda rate: abs(np.log(float(rate) / mostly)))


def _duration(pts: Stamps, steady: Fraction | None, last: int, rate: Fraction) -> Fraction:
    """Duration in seconds; the last frame lasts for its stated duration, or for one tick if none is stated."""
    step = round(US / rate)
    if steady is not None and last <= 1.5 * step:
        return len(pts) / steady
    return Fraction(int(pts[-1]) + (last or step), US)
