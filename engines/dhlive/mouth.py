"""A mouth network and its audio network on a device, and a person in the form that the network takes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.dhlive.file_names import AUDIO, MOUTHS
from engines.dhlive.files import FaceFiles, present
from engines.dhlive.generation import Generation
from engines.dhlive.networks.audio import AudioNetwork
from engines.dhlive.networks.checkpoints import load_audio, load_mouth
from engines.dhlive.networks.mini1 import Mini1Network, Mini1Person
from engines.dhlive.networks.mini2 import Modulation
from engines.dhlive.networks.mini2_folded import FoldedMini2
from engines.dhlive.networks.old import OldNetwork
from engines.dhlive.networks.sizes import FEATURES, STYLE
from engines.torch_device import pick_device
from shared.errors import StudioError

CPU = torch.device("cpu")
DEVICE_ADVICE = "set STUDIO_DHLIVE_DEVICE to cpu"


class MouthPerson(NamedTuple):
    """One person in the form that a network takes: the style's modulations, or reference features and their mixture."""

    tensors: tuple[Tensor, ...]


@dataclass(slots=True, eq=False, weakref_slot=True)
class Mouth:
    """Networks in evaluation mode and the files that they need.

    The audio network stays on the CPU: it is so small that the transfer to a device would take longer than running it.
    """

    generation: Generation
    drawing: FoldedMini2 | Mini1Network
    audio: AudioNetwork
    files: FaceFiles
    device: torch.device = CPU

    @classmethod
    def shared(cls, generation: Generation, files: dict[str, Path], device: str = "cpu") -> "Mouth":
        """Return the loaded mouth, which all sessions share while one holds it, so another avatar needs no second copy.

        Raises StudioError.
        """
        where = present(files, MOUTHS[generation])
        key = f"{where} {where.stat().st_mtime_ns} {device}"
        found = _SHARED.get(key)
        if found is None:
            found = _SHARED[key] = cls.load(generation, files, pick_device(device, DEVICE_ADVICE))
        return found

    @classmethod
    def load(cls, generation: Generation, files: dict[str, Path], device: torch.device = CPU) -> "Mouth":
        """Load the networks and the files that they need.

        files: by the manifest's names. Raises StudioError in one sentence.
        """
        where = present(files, MOUTHS[generation])
        found, network = load_mouth(where)
        if found is not generation or isinstance(network, OldNetwork):
            raise StudioError(
                f"{where} is the network of generation {found.value}; `studio weights add` puts each file in its place."
            )
        drawing = network if isinstance(network, Mini1Network) else FoldedMini2(network)
        drawing.to(device=device, memory_format=torch.channels_last)
        return cls(generation, drawing, load_audio(present(files, AUDIO)), FaceFiles.read(files, generation), device)

    def known(self, reference: NDArray[np.float64]) -> MouthPerson:
        """Convert a person's reference (see `Person`) to the form that the network takes."""
        numbers = torch.from_numpy(reference.astype(np.float32)).to(self.device)
        with torch.inference_mode():
            if isinstance(self.drawing, Mini1Network):
                return MouthPerson(tuple(self.drawing.person(numbers.view(1, *FEATURES))))
            blocks = self.drawing.person(numbers[None, :STYLE])
            return MouthPerson(tuple(tensor for block in blocks for tensor in block))

    def network(self, people: Sequence[MouthPerson]) -> Callable[[Tensor], Tensor]:
        """Return a function that draws the windows of these people, one each: (B, 3, h, w)."""
        joined = people[0].tensors
        if len(people) > 1:
            joined = tuple(torch.cat(each) for each in zip(*(one.tensors for one in people), strict=True))
        drawing = self.drawing
        if isinstance(drawing, Mini1Network):
            features = Mini1Person(*joined)
            return lambda source: drawing(source, features)
        blocks = [Modulation(*joined[at : at + 3]) for at in range(0, len(joined), 3)]
        return lambda source: drawing(source, blocks)


_SHARED: WeakValueDictionary[str, Mouth] = WeakValueDictionary()
