"""The channel's state, as the state socket sends it to the console."""

from typing import Literal, get_args

from services.gateway.channel.event_log import Event
from services.gateway.channel.health import ChannelWord, EngineDelay, ServiceHealth
from services.gateway.models.audience import AudienceState
from services.gateway.models.base import Answer
from services.gateway.models.library import AvatarRow, DriverRow, EngineQuality, EngineRow
from services.gateway.models.sessions import SessionsShown
from services.gateway.models.speech import SpeechState
from services.gateway.outputs.base import OutputPhase
from shared.scene import Scene

PreviewMode = Literal["full", "roi"]
PREVIEW_MODES: tuple[PreviewMode, ...] = get_args(PreviewMode)


class NeutralRetake(Answer):
    """Answer to a request for a new neutral face.

    neutral: number of times that the neutral face was retaken.
    """

    neutral: int


class RecordingStarted(Answer):
    """The recording that was started."""

    id: str


class RecordingStopped(Answer):
    """The recording is off."""

    state: Literal["off"]


class EngineState(Answer):
    """The engine on air.

    quality: the current one, null if the engine has no qualities. delay: null for an engine that takes frames one at a
    time. delay_history: milliseconds over the last minute, oldest first.
    """

    quality: EngineQuality | None
    delay: EngineDelay | None
    delay_history: list[float]


class Services(Answer):
    """Every service of the channel."""

    capture: ServiceHealth
    generator: ServiceHealth
    compositor: ServiceHealth
    gateway: ServiceHealth


class ProgramState(Answer):
    """The frame on air.

    width, height: 0 before the first frame. avatar, state: as the compositor reports them. age: seconds since the last
    frame, null before the first. level: peak of the sound, 0 to 1. repeated: ticks for which the last frame was
    repeated. by_voice, by_template: whether a voice or recorded motion is the driver. voice_delay_ms: delay of the
    voice in the program. stall: longest wait for a frame beyond its tick in the last ten seconds, milliseconds.
    present: whether the driver shows a face, null if unknown.
    """

    width: int
    height: int
    avatar: str
    state: str
    age: float | None
    level: float
    repeated: int
    by_voice: bool
    by_template: bool
    voice_delay_ms: float
    stall: float
    present: bool | None


class PreviewViewers(Answer):
    """Number of consoles that show the preview, by mode."""

    full: int
    roi: int


class PreviewSent(Answer):
    """Bytes sent to browsers since the start."""

    full: int
    roi: int
    sound: int
    driver: int


class PreviewState(Answer):
    """The preview in browsers.

    bytes_per_second: data rate per viewer by mode, once measured, also for modes without viewers. dropped: frames and
    sounds that viewers were too slow for.
    """

    viewers: PreviewViewers
    bytes_per_second: dict[PreviewMode, int]
    sent: PreviewSent
    dropped: int


class OutputFacts(Answer):
    """Fields that the states of all outputs share.

    state: off (not wanted), connecting (for the first time), live, reconnecting (was live, retries by itself), failed.
    note: one sentence about what is wrong, else "". since: wall clock seconds at which this state began, 0 for an
    output that was never wanted. figures: statistics by name, different for each kind of output.
    """

    state: OutputPhase
    note: str
    since: float
    figures: dict[str, int | float]


class RecordState(OutputFacts):
    """The recording. id: "" if the API cannot serve it. name: file name."""

    id: str
    name: str


class LiveKitState(OutputFacts):
    """The publication to LiveKit. unavailable: why publishing is not possible, "" if it is."""

    room: str
    unavailable: str


class RtmpState(OutputFacts):
    """The RTMP push. address: without its secrets. unavailable: why pushing is not possible, "" if it is."""

    address: str
    unavailable: str


class Outputs(Answer):
    """The outputs of the program."""

    preview: PreviewState
    record: RecordState
    livekit: LiveKitState
    rtmp: RtmpState


class CleanFeed(Answer):
    """Whether outputs may omit the label.

    right: the stated right. unavailable: why outputs may not omit the label, "" if they may.
    """

    right: str
    unavailable: str


class ChannelState(Answer):
    """The channel's current state.

    on_air_state: the channel's state word. since: wall clock seconds at which that state began. started: wall clock
    seconds at which the gateway started. rate: program frames a second. sessions: null if sessions are off. log:
    events, oldest first.
    """

    channel: str
    on_air_state: ChannelWord
    since: float
    started: float
    rate: float
    scene: Scene
    avatars: list[AvatarRow]
    engines: list[EngineRow]
    engine: EngineState
    drivers: list[DriverRow]
    services: Services
    program: ProgramState
    speech: SpeechState
    outputs: Outputs
    clean_feed: CleanFeed
    sessions: SessionsShown | None
    audience: AudienceState
    log: list[Event]
