"""The mesh as an engine that says it needs the driver's image.

What that costs the stream, without a network's weights.
"""

from dataclasses import replace

from engines.mesh.engine import INFO, MeshEngine

NAME = "seeing"
ENGINES = {NAME: "harness.seeing:SeeingEngine"}  # for the setting `engines`


class SeeingEngine(MeshEngine):
    """Moves the face as `mesh` does."""

    info = replace(INFO, name=NAME, title="Seeing", needs_image=True)
