"""Options of the DH_live engine: what its frames depend on besides avatar and voice."""

from typing import Literal

from pydantic import Field

from engines.options import EngineOptions, titles


class DhliveOptions(EngineOptions):
    """Whose rules the mouth is drawn by, and how far it opens."""

    rules: Literal["desktop", "browser"] = Field(
        "desktop",
        description="of the original's two programs, the one whose rules the mesh is drawn by: desktop or browser",
        json_schema_extra=titles({"desktop": "the desktop's", "browser": "the browser's"}),
    )
    strength: float = Field(1.0, ge=0.0, le=2.0, description="of the mouth's movement")
