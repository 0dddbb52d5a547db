"""Settings of the DH_live engine: how it runs on this machine."""

from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from engines.dhlive.options import DhliveOptions
from engines.settings import EngineSettings


class DhliveSettings(EngineSettings, DhliveOptions):
    """How the network is run, and the defaults of the options."""

    TABLE: ClassVar[str] = "dhlive"
    model_config = SettingsConfigDict(env_prefix="STUDIO_DHLIVE_")

    device: str = Field(
        "cpu", description="auto, cpu, cuda or cuda:N; one face at 25 frames a second takes a sixth of a core"
    )
