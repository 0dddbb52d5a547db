"""The `dhlive_old` engine: DH_live's first network. 36 GMAC a frame: for files, and on air where there is a GPU."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from engines.api import (
    DEFAULT_CONTEXT,
    EngineInfo,
    FrameEngine,
    PrepareProgress,
    SessionContext,
    Unavailable,
    no_progress,
)
from engines.dhlive.asset.film_fitness import check_body
from engines.dhlive.engine import files_here, recognised_file, unavailable
from engines.dhlive.file_names import MEAN_FACE, MOUTH_SHAPES, MOUTHS, OLD_AUDIO
from engines.dhlive.files import present
from engines.dhlive.generation import Generation
from engines.dhlive.settings import DhliveSettings
from engines.dhlive.voice.sound import VOICE_AHEAD_US
from shared.avatar.model import Avatar
from shared.weights.manifest import OFFICIAL

if TYPE_CHECKING:
    from engines.dhlive.old.session import OldSession

NAME = "dhlive_old"
INFO = EngineInfo(
    name=NAME,
    title="DH_live, the old network",
    inputs=frozenset({"voice"}),
    modes=frozenset({"offline"}),
    output="region",
    voice_ahead_us=VOICE_AHEAD_US,
    depends_on="motion",
)


class OldDhliveEngine(FrameEngine):
    """Draws the lower half of a filmed face, 256 pixels a side. Needs an avatar with a body film."""

    info = INFO
    Settings = DhliveSettings
    weights_manifest = OFFICIAL / "dhlive_old.toml"

    def __init__(self) -> None:
        if self.settings().device.startswith("cuda"):
            self.info = replace(INFO, modes=frozenset({"live", "offline"}))

    def settings(self) -> DhliveSettings:
        return DhliveSettings.load()

    def probe(self) -> Unavailable | None:
        return unavailable(super().probe(), NAME)

    def recognise(self, path: Path) -> str:
        """A checkpoint of any generation, under any name."""
        return recognised_file(path)

    def prepare(self, avatar: Avatar, progress: PrepareProgress = no_progress) -> None:
        """Measure the film's face in each frame that is played, once (80 ms a frame)."""
        from engines.dhlive.asset.film import shown_points
        from engines.dhlive.old.face import FILE, write_points

        if avatar.engine_file(NAME, FILE).is_file():
            return
        self.check()
        check_body(avatar)
        write_points(avatar.engine_file(NAME, FILE), shown_points(avatar, progress))

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> "OldSession":
        self.check()
        check_body(avatar)
        from engines.dhlive.asset.film import read_mean_face
        from engines.dhlive.asset.mouth_shapes import MouthShapes
        from engines.dhlive.mouth import pick_device
        from engines.dhlive.networks.checkpoints import load_audio, load_old
        from engines.dhlive.old.face import FILE, OldFace, read_points
        from engines.dhlive.old.session import OldSession

        files, plate = self.files(), avatar.plate
        points = read_points(avatar.engine_file(NAME, FILE), len(plate), avatar.name)
        mean = read_mean_face(present(files, MEAN_FACE))
        face = OldFace.placed(points, mean, plate.width, plate.height, avatar.name)
        network = load_old(present(files, MOUTHS[Generation.OLD])).to(pick_device(self.settings().device))
        audio, shapes = load_audio(present(files, OLD_AUDIO)), MouthShapes.read(present(files, MOUTH_SHAPES))
        return OldSession(avatar, face, network, audio, shapes, context)

    def files(self) -> dict[str, Path]:
        """The weight files that are here, by the manifest's names."""
        return files_here(self.weights())
