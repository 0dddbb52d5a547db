"""The `liveportrait` engine: an implicit-keypoint portrait model, live and offline.

Motion is extracted here, beside the networks that draw, so the driver's frame is sent to this process. The alternative,
extraction in the capture service, would send only the motion. A motion is 304 bytes, a 640x480 frame 0.9 MB; but on two
busy cores the transfer takes 0.4 ms for the motion and 0.9 ms for the frame (`benchmarks.system.transport` with frames
of these sizes; 1.5 ms for 3.1 MB on idle cores), so only half a millisecond could be saved. In return, capture would
need PyTorch, the weights and a GPU: on a CPU the extractor takes 0.14 s of a core (0.26 s of a shared one), at best 7
frames per second. Beside the networks that draw, extraction is 1 % of a frame's arithmetic (11.6 of 1245 GFLOP; 1.3 %
of its time on a CPU), and live and recorded drivers use the same code to read motion. Motion without frames is used
where there is no time limit: as a template (`recording`).
"""

from collections.abc import Iterable
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from engines.api import DEFAULT_CONTEXT, Driving, EngineInfo, FrameEngine, SessionContext, Unavailable
from engines.liveportrait.options import LivePortraitOptions
from engines.liveportrait.settings import LivePortraitSettings
from shared.avatar.model import Avatar
from shared.weights.manifest import OFFICIAL, weights_folder

if TYPE_CHECKING:
    from engines.liveportrait.motion.template import LivePortraitTemplate
    from engines.liveportrait.networks.networks import LivePortraitNetworks
    from engines.liveportrait.session import LivePortraitSession

NAME = "liveportrait"
BATCH_FRAMES = 4  # frames that a render draws per batch on a GPU
NO_TORCH = "LivePortrait needs PyTorch, which is not installed here; `make setup-torch` installs it."
INFO = EngineInfo(
    name=NAME,
    title="LivePortrait",
    inputs=frozenset({"motion", "template"}),
    needs_image=True,
    depends_on="motion",
)


class LivePortraitEngine(FrameEngine):
    """Engine that moves a portrait by another face's motion. Needs a GPU: on a CPU a frame takes seconds."""

    info = INFO
    Settings = LivePortraitSettings
    Options = LivePortraitOptions
    template_suffixes = frozenset({".npz", ".pkl"})
    weights_manifest = OFFICIAL / "liveportrait.toml"

    def settings(self) -> LivePortraitSettings:
        return LivePortraitSettings.load()

    def probe(self) -> Unavailable | None:
        if find_spec("torch") is None:
            return Unavailable(NO_TORCH, "make setup-torch")
        return super().probe()

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> "LivePortraitSession":
        """Open a session.

        With `low_memory` it draws without batches; its frames may then differ from batched ones by a grey level.
        """
        from engines.liveportrait.session import LivePortraitSession

        networks, settings = self._loaded(context.low_memory)
        options = context.options or self.options()
        assert isinstance(options, LivePortraitOptions)
        batch = settings.batch or (BATCH_FRAMES if networks.device.type == "cuda" else 1)
        return LivePortraitSession(avatar, networks, options, context, 1 if context.low_memory else batch)

    def read_template(self, path: Path) -> "LivePortraitTemplate":
        from engines.liveportrait.motion.template import parse_template

        return parse_template(path)

    def record(self, frames: Iterable[Driving], rate: Fraction) -> "LivePortraitTemplate":
        from engines.liveportrait.motion.recording import record_keypoints

        networks, _ = self._loaded(low_memory=True)
        return record_keypoints(frames, networks.read, float(rate))

    def _loaded(self, low_memory: bool) -> "tuple[LivePortraitNetworks, LivePortraitSettings]":
        self.check()
        from engines.liveportrait.networks.networks import LivePortraitNetworks

        settings = self.settings()
        compiled = settings.compile and not low_memory
        folder = weights_folder() / NAME
        return LivePortraitNetworks.shared(folder, settings.device, settings.precision, compiled), settings
