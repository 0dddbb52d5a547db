"""Options of the LivePortrait engine: what its frames depend on besides avatar and driver."""

from pydantic import Field

from engines.body_source import Source, source_option
from engines.liveportrait.motion.retarget_rules import MovedRegion, RetargetOptions
from engines.options import EngineOptions, titles


class LivePortraitOptions(EngineOptions):
    """Source face, followed parts of the driver, and smoothing."""

    source: Source = source_option()
    region: MovedRegion = Field(
        "all",
        description="what follows the driver: all, exp, pose, lip or eyes",
        json_schema_extra=titles(
            {"all": "everything", "exp": "the expression", "pose": "the head's pose", "lip": "the lips",
                "eyes": "the eyes"}
        ),
    )  # fmt: skip
    relative: bool = Field(True, description="follow the driver's changes since its neutral, not its own pose and face")
    stitching: bool = Field(True, description="keep the shoulders where they are")
    eyes: bool = Field(False, description="open the eyes as far as the driver's; if relative, nothing else moves")
    lips: bool = Field(False, description="the same for the lips; both may be set")
    close_lips: bool = Field(True, description="close the source's own open mouth before moving it")
    steady_eyes: bool = Field(False, description="even out a body video's own blinks")
    multiplier: float = Field(1.0, ge=0.0, le=3.0, description="strength of the whole movement")
    variance: float = Field(
        3e-6,
        ge=0.0,
        le=1e-2,
        description="smoothing of the driver's motion, as the variance of its noise; 0 is none, 1e-4 is strong",
    )

    def rules(self) -> RetargetOptions:
        """Return the options that the retargeting rules use."""
        return RetargetOptions(
            region=self.region,
            relative=self.relative,
            stitching=self.stitching,
            eyes=self.eyes,
            lips=self.lips,
            close_lips=self.close_lips,
            steady_eyes=self.steady_eyes,
            multiplier=self.multiplier,
        )
