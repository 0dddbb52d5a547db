"""Settings of the Duix-Avatar engine: the services, and whether their licences were accepted."""

from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_settings import SettingsConfigDict

from engines.settings import EngineSettings


class ServiceSettings(BaseModel):
    """Location of one container of the service.

    url: http or https, only host and port. data: the folder of this machine that the container mounts as /code/data.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str
    data: Path

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError("an address looks like http://127.0.0.1:8383, with nothing after the port")
        return url.rstrip("/")


class DuixSettings(EngineSettings):
    """The user's containers and the accepted licences."""

    TABLE: ClassVar[str] = "duix"
    model_config = SettingsConfigDict(env_prefix="STUDIO_DUIX_")

    services: tuple[ServiceSettings, ...] = Field(
        (), description='containers: [{url = "http://127.0.0.1:8383", data = "the folder it mounts as /code/data"}]'
    )
    licence_accepted: bool = Field(
        False, description="true: you have read and accept the licences of the service and of its weights"
    )
    time_limit: float = Field(
        10.0,
        ge=1.0,
        le=1000.0,
        description="time limit of a task as a multiple of the speech's length; at least 15 minutes",
    )

    @field_validator("services")
    @classmethod
    def _apart(cls, services: tuple[ServiceSettings, ...]) -> tuple[ServiceSettings, ...]:
        for what in ("url", "data"):
            if len({getattr(each, what) for each in services}) < len(services):
                raise ValueError(f"two services have the same {what}; each container needs its own")
        return services
