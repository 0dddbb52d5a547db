"""Settings of the StableAvatar engine: how it runs on this machine."""

from typing import ClassVar, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from engines.settings import EngineSettings
from engines.stableavatar.options import StableAvatarOptions

Precision = Literal["auto", "bf16", "fp16", "fp32"]
AttentionKernel = Literal["none", "xformers"]
Offload = Literal["none", "encoders", "blocks"]


class StableAvatarSettings(EngineSettings, StableAvatarOptions):
    """How the networks are run, and the defaults of the options."""

    TABLE: ClassVar[str] = "stableavatar"
    model_config = SettingsConfigDict(env_prefix="STUDIO_STABLEAVATAR_")

    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu, cuda or cuda:N")
    precision: Precision = Field(
        "auto", description="auto: bf16 if the GPU supports it, else fp16; fp32 takes twice the memory and time"
    )
    acceleration: AttentionKernel = Field(
        "none", description="none, or xformers: its attention in place of PyTorch's own"
    )
    offload: Offload = Field(
        "none",
        description="what waits in main memory: none; encoders, which then run on the CPU; blocks, the transformer's "
        "too, for cards of 8 GB",
    )
