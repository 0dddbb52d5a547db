"""Settings of the PersonaLive engine: how it runs on this machine."""

from typing import ClassVar, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from engines.personalive.options import PersonaLiveOptions
from engines.settings import EngineSettings

Acceleration = Literal["none", "compile", "xformers", "tensorrt"]


class PersonaLiveSettings(EngineSettings, PersonaLiveOptions):
    """How the networks are run, and the defaults of the options."""

    TABLE: ClassVar[str] = "personalive"
    model_config = SettingsConfigDict(env_prefix="STUDIO_PERSONALIVE_")

    acceleration: Acceleration = Field("none", description="none, compile (torch.compile), xformers or tensorrt")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu, cuda or cuda:N")
