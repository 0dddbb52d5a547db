"""What the engine can be told: STUDIO_PERSONALIVE_* in the environment."""

from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import StudioError

PREFIX = "STUDIO_PERSONALIVE_"
Quality = Literal["auto", "full", "taesd", "384", "256", "half"]
Acceleration = Literal["none", "compile", "xformers", "tensorrt"]


class PersonaLiveSettings(BaseSettings):
    """How the networks are run."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", validate_default=True)

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


def load_personalive_settings() -> PersonaLiveSettings:
    """From the environment. Raises StudioError for a value that is none."""
    try:
        nothing: dict[str, Any] = {}
        return PersonaLiveSettings(**nothing)
    except ValidationError as error:
        first = error.errors()[0]
        name = f"{PREFIX}{'_'.join(str(part) for part in first['loc']).upper()}"
        raise StudioError(f"{name} is wrong: {first['msg']}; mend or unset it.") from None
