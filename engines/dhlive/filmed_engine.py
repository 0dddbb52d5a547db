"""Base of the engines of all generations: requirements, weight files, and the one-time measurement of a film."""

from abc import abstractmethod
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from engines.api import FrameEngine, PrepareProgress, Unavailable, no_progress
from engines.dhlive.asset.film_fitness import check_body
from shared.avatar.model import Avatar
from shared.errors import StudioError
from shared.weights.manifest import missing_files, weights_folder

NO_TORCH = "DH_live needs PyTorch, which is not installed here; `make setup-torch` installs it."


class FilmedFaceEngine(FrameEngine):
    """Engine that draws the mouth of a filmed face. Needs an avatar with a body film.

    measured_file: name of the file that `prepare` stores with an avatar.
    """

    measured_file: ClassVar[str]

    def probe(self) -> Unavailable | None:
        if find_spec("torch") is None:
            return Unavailable(NO_TORCH, "make setup-torch")
        missing = super().probe()
        return missing and Unavailable(missing.reason, f"studio weights add {self.info.name} FILE...")

    def recognise(self, path: Path) -> str:
        """Recognise a checkpoint of any generation, whatever its name."""
        if find_spec("torch") is None:
            raise StudioError(NO_TORCH)
        from engines.dhlive.networks.checkpoints import recognised

        return recognised(path)

    def prepare(self, avatar: Avatar, progress: PrepareProgress = no_progress) -> None:
        """Measure the film's face in each frame that is played, once (80 ms per frame)."""
        kept = avatar.engine_file(self.info.name, self.measured_file)
        if kept.is_file() and self.still_holds(avatar):
            return
        self.check_avatar(avatar)
        self.measure(avatar, kept, progress)

    def still_holds(self, avatar: Avatar) -> bool:
        """Whether the measurement stored with an avatar fits the weights on this machine."""
        return True

    @abstractmethod
    def measure(self, avatar: Avatar, kept: Path, progress: PrepareProgress) -> None:
        """Measure the film of an avatar that was checked, and write the result to `kept`.

        Raises StudioError if the film is not suitable.
        """

    def check_avatar(self, avatar: Avatar) -> None:
        """Raise StudioError if the engine cannot run on this machine or not on this avatar."""
        self.check()
        check_body(avatar)

    def files(self) -> dict[str, Path]:
        """Return the paths of the weight files that are present and undamaged, by the manifest's names."""
        weights, folder = self.weights(), weights_folder()
        damaged = missing_files(weights, folder)
        whole = (file for file in weights.files if file not in damaged)
        return {file.path: where for file in whole if (where := file.find(folder)) is not None}
