"""The `dhlive` engine: a filmed face speaks by a small network. Live on one core of a CPU."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from engines.api import (
    DEFAULT_CONTEXT,
    Driving,
    EngineInfo,
    EngineSession,
    FrameEngine,
    PrepareProgress,
    RoiFrame,
    SessionContext,
    Unavailable,
    VoiceBlock,
    no_progress,
)
from engines.dhlive.asset.film_fitness import check_body
from engines.dhlive.asset.person import FILE, Person, read_person
from engines.dhlive.options import DhliveOptions
from engines.dhlive.settings import DhliveSettings
from engines.dhlive.voice.sound import VOICE_AHEAD_US
from shared.avatar.model import Avatar
from shared.errors import StudioError
from shared.weights.manifest import OFFICIAL, EngineWeights, missing_files, weights_folder

if TYPE_CHECKING:
    from engines.dhlive.session import DhliveSession

NAME = "dhlive"
NO_TORCH = "DH_live needs PyTorch, which is not installed here; `make setup-torch` brings it."
INFO = EngineInfo(
    name=NAME,
    title="DH_live",
    inputs=frozenset({"voice"}),
    output="region",
    voice_ahead_us=VOICE_AHEAD_US,
    depends_on="motion",
)


class DhliveEngine(FrameEngine):
    """Lets a body film speak: its own face, with another mouth. Needs an avatar with a body film."""

    info = INFO
    Settings = DhliveSettings
    Options = DhliveOptions
    weights_manifest = OFFICIAL / "dhlive.toml"

    def settings(self) -> DhliveSettings:
        return DhliveSettings.load()

    def probe(self) -> Unavailable | None:
        return unavailable(super().probe(), NAME)

    def recognise(self, path: Path) -> str:
        """A checkpoint of any generation, under any name."""
        return recognised_file(path)

    def prepare(self, avatar: Avatar, progress: PrepareProgress = no_progress) -> None:
        """Measure the film's face in each frame that is played, once (80 ms a frame)."""
        if avatar.engine_file(NAME, FILE).is_file():
            return
        self.check()
        check_body(avatar)
        from engines.dhlive.asset.film import measured_person
        from engines.dhlive.asset.person import write_person

        person = measured_person(avatar, self.files(), progress)
        write_person(avatar.engine_file(NAME, FILE), person)

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> "DhliveSession":
        self.check()
        check_body(avatar)
        from engines.dhlive.mouth import Mouth
        from engines.dhlive.session import DhliveSession

        options = context.options or self.options()
        assert isinstance(options, DhliveOptions)
        person = kept_person(avatar)
        mouth = Mouth.shared(person.generation, self.files(), self.settings().device)
        return DhliveSession(avatar, person, mouth, options, context)

    def draw_batch(
        self, sessions: Sequence[EngineSession], inputs: Sequence[Driving | VoiceBlock]
    ) -> list[list[RoiFrame]]:
        """The faces of several sessions in one call of the network."""
        from engines.dhlive.session import DhliveSession, draw

        shots = []
        for session, each in zip(sessions, inputs, strict=True):
            assert isinstance(session, DhliveSession)
            shots.append([] if isinstance(each, Driving) else [(session, shot) for shot in session.shots(each)])
        drawn = iter(draw([shot for each in shots for shot in each]))
        return [[next(drawn) for _ in each] for each in shots]

    def files(self) -> dict[str, Path]:
        """The weight files that are here, by the manifest's names."""
        return files_here(self.weights())


def unavailable(problem: Unavailable | None, name: str) -> Unavailable | None:
    """Why the engine of this name cannot run here. problem: with its weights."""
    if find_spec("torch") is None:
        return Unavailable(NO_TORCH, "make setup-torch")
    return None if problem is None else Unavailable(problem.reason, f"studio weights add {name} FILE...")


def recognised_file(path: Path) -> str:
    """Which of the manifests' files a checkpoint is, "" for none. Raises StudioError."""
    if find_spec("torch") is None:
        raise StudioError(NO_TORCH)
    from engines.dhlive.networks.checkpoints import recognised

    return recognised(path)


def files_here(weights: EngineWeights) -> dict[str, Path]:
    """The weight files that are here and whole, by the manifest's names."""
    folder = weights_folder()
    damaged = missing_files(weights, folder)
    whole = (file for file in weights.files if file not in damaged)
    return {file.path: where for file in whole if (where := file.find(folder)) is not None}


def kept_person(avatar: Avatar) -> Person:
    """What `prepare` has kept with an avatar. Raises StudioError."""
    path = avatar.engine_file(NAME, FILE)
    if not path.is_file():
        raise StudioError(f"Avatar '{avatar.name}' has not been prepared for DH_live; open it once with this engine.")
    return read_person(path)
