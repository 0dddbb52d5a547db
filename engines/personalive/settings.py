"""What the engine can be told."""

from typing import ClassVar, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from engines.settings import EngineSettings

Quality = Literal["auto", "full", "taesd", "384", "256", "half"]
Acceleration = Literal["none", "compile", "xformers", "tensorrt"]


class PersonaLiveSettings(EngineSettings):
    """How the networks are run."""

    TABLE: ClassVar[str] = "personalive"
    MACHINE: ClassVar[frozenset[str]] = frozenset({"device", "acceleration"})
    model_config = SettingsConfigDict(env_prefix="STUDIO_PERSONALIVE_")

    quality: Quality = Field(
        "auto",
        description="full, taesd (a small decoder), 384 or 256 pixels, half (of the driver's frames, at 256); auto begins"
        " at full and goes down where the device cannot keep up",
    )
    acceleration: Acceleration = Field("none", description="none, compile (torch.compile), xformers or tensorrt")
    seed: int = Field(
        42, ge=0, lt=2**31, description="of the noise that frames begin as: the same seed, the same frames"
    )
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu, cuda or cuda:N")
