"""Everything that an engine in another package needs; docs/engine-authoring.md shows a complete engine.

This interface changes only with notice. `persona_studio.engine.testing` checks an engine against the rules.
"""

from engines.api import (
    DEFAULT_CONTEXT,
    RATE_FPS,
    UNDRAWN,
    Dependence,
    Driving,
    Engine,
    EngineInfo,
    EngineSession,
    FrameEngine,
    Input,
    Mode,
    MotionTemplate,
    PrepareProgress,
    RoiFrame,
    SessionContext,
    Unavailable,
    VoiceBlock,
    no_progress,
)
from engines.clip import CLIP_FILE, Clip, ClipEngine, Estimate, RunContext
from engines.idle import IdlePose, idle_pose
from engines.options import EngineOptions, titles
from engines.settings import EngineSettings
from engines.voice_ticks import VoiceTicks
from shared.avatar.model import ROI_SIZE_PX, Avatar
from shared.avatar.plate import Plate
from shared.errors import OutOfMemoryError, StudioError
from shared.face.landmarks import POINTS, Face, Pose
from shared.jobs.graph import UnitSpec
from shared.media.colour import rgb_to_i420
from shared.media.mp4 import Mp4Writer
from shared.runtime.arrays import StateArrays, pack_part, unpack_part
from shared.runtime.clock import SOUND_RATE_HZ, US, tick_after, tick_pts
from shared.weights.checkpoint import load_state
from shared.weights.manifest import EngineWeights, weight_files, weights_folder

__all__ = [
    "CLIP_FILE",
    "DEFAULT_CONTEXT",
    "POINTS",
    "RATE_FPS",
    "ROI_SIZE_PX",
    "SOUND_RATE_HZ",
    "UNDRAWN",
    "US",
    "Avatar",
    "Clip",
    "ClipEngine",
    "Dependence",
    "Driving",
    "Engine",
    "EngineInfo",
    "EngineOptions",
    "EngineSession",
    "EngineSettings",
    "EngineWeights",
    "Estimate",
    "Face",
    "FrameEngine",
    "IdlePose",
    "Input",
    "Mode",
    "MotionTemplate",
    "Mp4Writer",
    "OutOfMemoryError",
    "Plate",
    "Pose",
    "PrepareProgress",
    "RoiFrame",
    "RunContext",
    "SessionContext",
    "StateArrays",
    "StudioError",
    "Unavailable",
    "UnitSpec",
    "VoiceBlock",
    "VoiceTicks",
    "idle_pose",
    "load_state",
    "no_progress",
    "pack_part",
    "rgb_to_i420",
    "tick_after",
    "tick_pts",
    "titles",
    "unpack_part",
    "weight_files",
    "weights_folder",
]
