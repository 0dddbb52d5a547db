"""Options of the PersonaLive engine: what its frames depend on besides avatar and driver."""

from typing import Literal

from pydantic import Field

from engines.options import EngineOptions, titles
from engines.personalive.quality import AUTO, AUTO_TITLE, LADDER

Quality = Literal["auto", "full", "taesd", "384", "256", "half"]


class PersonaLiveOptions(EngineOptions):
    """Quality level and seed of the noise."""

    quality: Quality = Field(
        "auto",
        description="full, taesd (a small decoder), 384 or 256 pixels, half (of the driver's frames, at 256); auto "
        "begins at full and goes down where the device cannot keep up",
        json_schema_extra=titles({AUTO: AUTO_TITLE} | {rung.name: rung.title for rung in LADDER}),
    )
    seed: int = Field(42, ge=0, lt=2**31, description="seed of the initial noise; the same seed gives the same frames")
