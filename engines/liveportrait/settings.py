"""What the engine can be told."""

from typing import ClassVar, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from engines.liveportrait.motion.retarget_rules import Options, Region
from engines.settings import EngineSettings


class LivePortraitSettings(EngineSettings):
    """Options of the rules, and how the networks are run."""

    TABLE: ClassVar[str] = "liveportrait"
    MACHINE: ClassVar[frozenset[str]] = frozenset({"device", "precision", "batch", "compile"})
    model_config = SettingsConfigDict(env_prefix="STUDIO_LIVEPORTRAIT_")

    source: Literal["portrait", "body"] = Field(
        "portrait", description="whose face is moved: the portrait's, or the one that the body video itself shows"
    )
    region: Region = Field("all", description="what follows the driver: all, exp, pose, lip or eyes")
    relative: bool = Field(True, description="follow the driver's changes since its neutral, not its own pose and face")
    stitching: bool = Field(True, description="keep the shoulders where they are")
    eyes: bool = Field(False, description="the eyes' openings follow the driver's measured ones, and nothing else does")
    lips: bool = Field(False, description="the same for the lips")
    close_lips: bool = Field(True, description="close the source's own open mouth before moving it")
    steady_eyes: bool = Field(False, description="even out a body video's own blinks")
    multiplier: float = Field(1.0, ge=0.0, le=3.0, description="of the whole movement")
    variance: float = Field(
        3e-6, ge=0.0, le=1e-2, description="smoothing of the driver's motion: its noise; 0 is none, 1e-4 is much"
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    precision: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto", description="of warping and decoding; auto is float16 on a GPU, float32 elsewhere"
    )
    batch: int = Field(0, ge=0, le=16, description="frames that a render draws at a time; 0 is 4 on a GPU, 1 elsewhere")
    compile: bool = Field(False, description="torch.compile: faster frames after a slow start, a minute or more")

    def options(self) -> Options:
        """Those that the rules take."""
        return Options(
            region=self.region,
            relative=self.relative,
            stitching=self.stitching,
            eyes=self.eyes,
            lips=self.lips,
            close_lips=self.close_lips,
            steady_eyes=self.steady_eyes,
            multiplier=self.multiplier,
        )
