"""The mesh engine, declared to need the driver's image.

It serves to measure the cost of sending that image, without the weights of a neural network.
"""

from dataclasses import replace

from engines.mesh.engine import INFO, MeshEngine

NAME = "seeing"
ENGINES = {NAME: "harness.seeing:SeeingEngine"}  # for the setting `engines`


class SeeingEngine(MeshEngine):
    """The `mesh` engine under another name, with `needs_image` set."""

    info = replace(INFO, name=NAME, title="Seeing", needs_image=True)
