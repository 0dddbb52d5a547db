"""Settings of the LivePortrait engine: how it runs on this machine."""

from typing import ClassVar, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from engines.liveportrait.options import LivePortraitOptions
from engines.settings import EngineSettings


class LivePortraitSettings(EngineSettings, LivePortraitOptions):
    """How the networks are run, and the defaults of the options."""

    TABLE: ClassVar[str] = "liveportrait"
    model_config = SettingsConfigDict(env_prefix="STUDIO_LIVEPORTRAIT_")

    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    precision: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto", description="number format of warping and decoding; auto is float16 on a GPU, float32 elsewhere"
    )
    batch: int = Field(0, ge=0, le=16, description="frames that a render draws at a time; 0 is 4 on a GPU, 1 elsewhere")
    compile: bool = Field(False, description="torch.compile: faster frames after a slow start, a minute or more")
