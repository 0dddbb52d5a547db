"""The mesh engine, declared to need the driver's image.

It shows what that costs the stream, without a network's weights.
"""

from dataclasses import replace

from engines.mesh.engine import INFO, MeshEngine

NAME = "seeing"
ENGINES = {NAME: "harness.seeing:SeeingEngine"}  # for the setting `engines`


class SeeingEngine(MeshEngine):
    """Moves the face as `mesh` does."""

    info = replace(INFO, name=NAME, title="Seeing", needs_image=True)
