"""Settings of the old network: how it runs on this machine."""

from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from engines.settings import EngineSettings


class OldDhliveSettings(EngineSettings):
    """Where the network is run. It has no options."""

    TABLE: ClassVar[str] = "dhlive_old"
    model_config = SettingsConfigDict(env_prefix="STUDIO_DHLIVE_OLD_")

    device: str = Field("cpu", description="auto, cpu, cuda or cuda:N; on a CPU a frame takes a second, for files only")
