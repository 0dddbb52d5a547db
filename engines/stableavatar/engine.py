"""The `stableavatar` engine: makes a video of any length from speech and one image. A clip engine, offline only."""

from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING

from engines.api import EngineInfo, Unavailable
from engines.clip import Clip, ClipEngine, Estimate, RunContext
from engines.nvidia import gpu_memory, has_gpu
from engines.stableavatar.estimate import (
    bytes_each,
    disk_needed,
    measured_rates,
    memory_needed,
    too_large,
    work_of,
)
from engines.stableavatar.options import StableAvatarOptions
from engines.stableavatar.plan import layout_of, options_of, predictions
from engines.stableavatar.settings import StableAvatarSettings
from engines.stableavatar.units import declared
from engines.stableavatar.weights import read_model
from shared.errors import StudioError
from shared.jobs.graph import UnitSpec
from shared.weights.manifest import OFFICIAL

if TYPE_CHECKING:
    from engines.stableavatar.job import ClipJob

NAME = "stableavatar"
NEEDED = ("torch", "diffusers", "transformers", "tokenizers")
NO_TORCH = "StableAvatar needs {}, which is not installed here; `make setup-torch` installs it."
NO_GPU = "StableAvatar needs an NVIDIA GPU, of 8 GB or more, and none was found; choose mesh or another machine."
INFO = EngineInfo(
    name=NAME, title="StableAvatar", inputs=frozenset({"voice"}), modes=frozenset({"offline"}), output="frame"
)


class StableAvatarEngine(ClipEngine):
    """Clip engine for a talking person, made from one image and speech of any length. Needs a GPU, and is slow."""

    info = INFO
    Settings = StableAvatarSettings
    Options = StableAvatarOptions
    weights_manifest = OFFICIAL / "stableavatar.toml"

    def settings(self) -> StableAvatarSettings:
        return StableAvatarSettings.load()

    def probe(self) -> Unavailable | None:
        if absent := next((name for name in NEEDED if find_spec(name) is None), None):
            return Unavailable(NO_TORCH.format(absent), "make setup-torch")
        if problem := super().probe():
            return problem
        return None if has_gpu() or read_model().tiny else Unavailable(NO_GPU)

    def units(self, clip: Clip) -> Sequence[UnitSpec]:
        options, model = options_of(clip), read_model()
        size = model.size(options.size, clip.size)
        model.transformer(size, options.checkpoint)  # raises if the file is missing
        if options.lora:
            model.own(options.lora)
        layout = layout_of(clip, options, model)
        count = predictions(options)
        if not model.tiny and (refusal := too_large(model, size, layout, count, self.settings(), gpu_memory())):
            raise StudioError(refusal)
        return declared(layout, options.steps, work_of(model, layout, size, count))

    def estimate(self, clip: Clip) -> Estimate:
        options, model = options_of(clip), read_model()
        size, count = model.size(options.size, clip.size), predictions(options)
        layout = layout_of(clip, options, model)
        rates, settings = measured_rates(), self.settings()
        return Estimate(
            work=work_of(model, layout, size, count).total(len(layout.windows), options.steps),
            rate=max(rates.values(), default=None),
            unit="TFLOP",
            memory=memory_needed(model, size, layout, bytes_each(settings), settings.offload, count),
            disk=disk_needed(layout, size, options.steps, options.reuse > 0),
        )

    def run(self, unit: UnitSpec, clip: Clip, context: RunContext) -> None:
        self._job.run(unit, clip, context)

    @cached_property
    def _job(self) -> "ClipJob":
        from engines.stableavatar.job import ClipJob

        return ClipJob(self.settings())
