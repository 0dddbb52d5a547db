"""Runs one network by LiteRT on one core."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.face.networks.files import NetworkName, installed_network
from shared.runtime.native_stderr import quiet


class FaceNetwork:
    """A network with its own working memory. Not thread-safe. Raises StudioError if its file is missing or damaged."""

    def __init__(self, name: NetworkName) -> None:
        content = installed_network(name)
        with quiet():
            from ai_edge_litert.interpreter import Interpreter

            self._interpreter: Any = Interpreter(model_content=content, num_threads=1)
            self._interpreter.allocate_tensors()
        self._input: int = self._interpreter.get_input_details()[0]["index"]
        self._outputs: list[int] = [each["index"] for each in self._interpreter.get_output_details()]

    def __call__(self, given: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """The network's outputs for one input, in the model's order and shapes; the caller owns them.

        given: (1, H, W, C) float32, contiguous.
        """
        self._interpreter.set_tensor(self._input, given)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]
