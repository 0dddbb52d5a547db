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

    neutral: how often the neutral face was retaken.
    """

    neutral: int


class RecordingStarted(Answer):
    """The recording that was begun."""

    id: str


class RecordingStopped(Answer):
    """The recording is off."""

    state: Literal["off"]


class EngineState(Answer):
    """The engine on air.

    quality: the one it is at, null where it has no ladder of them. delay: from motion to face, and what it cannot go
    below, null for an engine that takes its frames one by one. delay_history: milliseconds over the last minute, oldest
    first.
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

    width, height: 0 until there is one. avatar, state: as the compositor names them. age: seconds since it came, null
    until one came. level: of the sound, 0 to 1. repeated: ticks for which an earlier frame stood in. by_voice,
    by_template: whether a voice or recorded motion drives. voice_delay_ms: by how much the program plays a voice later.
    stall: longest wait for a frame beyond its tick in the last ten seconds, milliseconds. present: whether the driver
    shows a face, null where that is not known.
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
    """Browsers that watch, by the mode they are sent."""

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

    bytes_per_second: cost of a viewer by mode, once measured, also for modes that are not watched. dropped: frames and
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
    """The recording. id: "" for one that the API cannot fetch. name: of its file."""

    id: str
    name: str


class LiveKitState(OutputFacts):
    """The publication to LiveKit. unavailable: why there can be none, "" where there can."""

    room: str
    unavailable: str


class RtmpState(OutputFacts):
    """The RTMP push. address: without its secrets. unavailable: why there can be none, "" where there can."""

    address: str
    unavailable: str


class Outputs(Answer):
    """Everything that the program goes to."""

    preview: PreviewState
    record: RecordState
    livekit: LiveKitState
    rtmp: RtmpState


class CleanFeed(Answer):
    """Whether outputs may leave the label out.

    right: what allows it; unavailable: why they may not, "" where they may.
    """

    right: str
    unavailable: str


class ChannelState(Answer):
    """Everything about the channel, now.

    on_air_state: its one state word. since: wall clock seconds at which that began. started: wall clock seconds at
    which the gateway began. rate: program frames a second. sessions: null where there may be none. log: events, oldest
    first.
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
