"""The original PersonaLive (commit 32f401d of GVCLab/PersonaLive) from a checkout, in a process of its own.

The process reads one request per line.

The original's online loop (`src/wrapper.py`) runs unchanged, on weights made by rule; only the reading of checkpoint
files is left out. If the checkout has a virtual environment (CHECKOUT/.venv), its Python runs the process, with the
libraries that the original was written for; otherwise the current Python does, which then also needs einops and
omegaconf.
"""

import functools
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from pathlib import Path
from types import ModuleType, SimpleNamespace, TracebackType
from typing import Any

from shared.errors import StudioError

ROOT = Path(__file__).resolve().parents[2]
WRAPPER = "src/wrapper.py"
UNUSED = ("av", "cv2", "torchvision", "torchvision.transforms", "decord")  # imported by the original, unused here


class OriginalPersonaLive:
    """The process, as a context manager. `ask` sends one request and waits for the answer."""

    def __init__(self, checkout: Path, size: str) -> None:
        """Raise StudioError where the folder is not the original's."""
        if not (checkout / WRAPPER).is_file():
            raise StudioError(f"{checkout} is not a checkout of PersonaLive: it has no {WRAPPER}.")
        own = checkout / ".venv" / "bin" / "python"
        self._said = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 closed with the process
        self._process = subprocess.Popen(
            [str(own if own.exists() else sys.executable), "-m", "benchmarks.engines.personalive_peer", str(checkout),
                size],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, encoding="utf-8",
        )  # fmt: skip

    def ask(self, what: str, **about: Any) -> dict[str, Any]:
        """Send a request and return the answer. Raises StudioError with the last line of the process if it ends."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"what": what, **about}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._process.wait()
            self._said.seek(0)
            last = next((each.strip() for each in reversed(self._said.readlines()) if each.strip()), "it ended")
            raise StudioError(
                f"The original cannot be run ({last[:200]}); see `benchmarks/engines/personalive_peer.py`."
            )
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> "OriginalPersonaLive":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._said):
            with suppress(OSError):  # unread data no longer matters
                if pipe is not None:
                    pipe.close()


class Original:
    """The original's wrapper without its checkpoint files, and with time marks between the parts of a call."""

    def __init__(self, checkout: Path, size: Any, device: Any) -> None:
        import torch

        from harness.stopwatch import Stopwatch

        self.size, self.device, self.calls = size, device, 0
        self.dtype = torch.float16 if device.type == "cuda" else torch.float32
        make_importable(checkout)
        self.wrapper = wrapper(checkout, size, device, self.dtype)
        self.watch = Stopwatch(device)
        self.wrapper.denoising_unet.register_forward_pre_hook(lambda *_: self.watch.mark())
        decode = self.wrapper.vae.decode

        def marked(latents: Any) -> Any:
            self.watch.mark()
            decoded = decode(latents)
            self.watch.mark()
            return decoded

        self.wrapper.vae.decode = marked
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def call(self) -> Any:
        """Compute the next chunk, from frames on the CPU to frames on the CPU."""
        import torch

        from benchmarks.engines.personalive_size import driver

        shown_frames = driver(self.size, self.calls)
        self.calls += 1
        self.watch.mark()
        frames = torch.from_numpy(shown_frames).to(self.device).float() / 255.0 * 2.0 - 1.0
        frames = frames.permute(0, 3, 1, 2)
        video = self.wrapper.process_input(frames)
        self.watch.mark()
        return video

    def begin(self, calls: int, to: str) -> dict[str, Any]:
        """Read the portrait, make the first chunks with faint noise, and save them in the file `to`.

        first_frame_s: seconds until the first chunk that shows the driver.
        """
        import numpy as np
        import torch
        from PIL import Image

        from benchmarks.engines.personalive_size import LEAD_CALLS, FaintNoise, portrait

        noise, usual = FaintNoise(self.device, self.dtype), torch.randn_like

        def faint(like: Any, **_: Any) -> Any:
            _, channels, frames, height, width = like.shape
            return noise((frames, channels, height, width)).permute(1, 0, 2, 3)[None]

        torch.randn_like = faint
        try:
            began, first, made = time.perf_counter(), 0.0, []
            self.wrapper.fuse_reference(Image.fromarray(portrait(self.size)))
            for call in range(calls):
                made.append(self.call())
                first = time.perf_counter() - began if call == LEAD_CALLS else first
        finally:
            torch.randn_like = usual
        self.watch.laps()
        np.save(to, np.concatenate(made))
        return {"first_frame_s": first}

    def round(self, calls: int) -> dict[str, Any]:
        """Make `calls` calls and return the milliseconds of the parts of each."""
        rows = []
        for _ in range(calls):
            self.call()
            rows.append(self.watch.laps())
        return {"laps": rows}

    def keyframes(self, count: int) -> dict[str, Any]:
        """Add `count` keyframes, as the original's loop does when the driver's motion is new."""
        import torch

        own = self.wrapper
        for _ in range(count):
            own.reference_control_writer.clear()
            with torch.no_grad():
                own.reference_unet(
                    own.ref_image_latents, torch.zeros(1, dtype=self.dtype, device=self.device),
                    encoder_hidden_states=own.encoder_hidden_states, return_dict=False,
                )  # fmt: skip
            own.reference_control_reader.update_hkf(own.reference_control_writer)
        return {}

    def description(self) -> dict[str, Any]:
        """Facts of the original: what it is, what a call computes, and the most memory it took."""
        import diffusers
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        from harness.stopwatch import memory_mb

        peak = memory_mb(self.device)
        with FlopCounterMode(display=False) as counter:
            self.call()
        self.watch.laps()
        return {
            "torch": torch.__version__,
            "diffusers": diffusers.__version__,
            "precision": str(self.dtype).removeprefix("torch."),
            "xformers": self.wrapper.has_xformers,
            "keyframes": self.wrapper.num_khf,
            "memory_mb": peak,
            "tflop": counter.get_total_flops() / 1e12,
        }


def make_importable(checkout: Path) -> None:
    """Put the checkout on the import path, with stand-ins for missing modules that it imports but does not use."""
    sys.dont_write_bytecode = True
    for name in ("diffusers", "diffusers.image_processor", "transformers"):
        importlib.import_module(name)  # these detect optional libraries, before any of them is replaced by a stand-in
    for name in UNUSED:
        try:
            importlib.import_module(name)
        except Exception:  # missing or broken is the same here
            sys.modules[name] = AbsentModule(name)
    sys.path.insert(0, str(checkout))
    embeddings = importlib.import_module("diffusers.models.embeddings")
    encoder = importlib.import_module("src.models.motion_encoder.encoder")
    encoder.get_1d_sincos_pos_embed_from_grid = functools.partial(_positions, embeddings)  # type: ignore[attr-defined]


class AbsentModule(ModuleType):
    """Stand-in for a missing module, whose names can be imported but not used."""

    __path__: list[str] = []  # noqa: RUF012 that it has one makes it a package

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return AbsentModule(f"{self.__name__}.{name}")


def _positions(embeddings: Any, width: int, at: Any) -> Any:
    """Return diffusers' table of positions as arrays, which the original expects; later versions use tensors."""
    import numpy as np
    import torch

    table = embeddings.get_1d_sincos_pos_embed_from_grid
    try:
        return np.asarray(table(width, torch.as_tensor(at), output_type="pt"))
    except TypeError:
        return table(width, at)


def wrapper(checkout: Path, size: Any, device: Any, dtype: Any) -> Any:
    """Assemble the original's `PersonaLive` as its constructor does after it has read the files."""
    import numpy as np
    import torch
    from diffusers.image_processor import VaeImageProcessor

    from benchmarks.engines.personalive_size import clip, stock_vae
    from harness.by_rule import by_rule, calmed, place_key_points

    own = importlib.import_module("src.wrapper")
    drawing = importlib.import_module("src.utils.util")
    sides = {"height": size.frames, "width": size.frames}
    own.draw_keypoints = functools.partial(drawing.draw_keypoints, **sides)  # type: ignore[attr-defined]
    own.get_boxes = functools.partial(drawing.get_boxes, **sides)  # type: ignore[attr-defined]
    config = own.OmegaConf.to_container(own.OmegaConf.load(checkout / "configs/inference/inference_stage3.yaml"))

    def ready(network: Any, name: str, then: Callable[[Any], Any] = lambda network: network) -> Any:
        return then(by_rule(network, name)).to(device, dtype).eval().requires_grad_(False)

    made = object.__new__(own.PersonaLive)
    made.device, made.dtype, made.numpy_dtype = device, dtype, np.float16 if dtype == torch.float16 else np.float32
    made.temporal_adaptive_step = made.temporal_window_size = made.num_inference_steps = 4
    made.batch_size, made.vae_scale_factor = 1, 8
    made.denoising_unet = ready(
        own.UNet3DConditionModel(**size.unet, **config["unet_additional_kwargs"]), "denoising", calmed
    )
    made.reference_unet = ready(own.UNet2DConditionModel(**size.unet), "reference")
    guider = own.PoseGuider(
        conditioning_embedding_channels=size.unet["block_out_channels"][0], block_out_channels=size.guider
    )
    made.pose_guider = ready(guider, "guider")
    made.pose_encoder = ready(original_extractor(own, size), "extractor", place_key_points)
    made.motion_encoder = ready(own.MotEncoder() if size.encoder else stand_in(), "encoder")
    made.vae, made.image_encoder = ready(stock_vae(size), "vae"), ready(clip(size), "clip")
    control = functools.partial(
        own.ReferenceAttentionControl, do_classifier_free_guidance=False, batch_size=1, fusion_blocks="full"
    )
    made.reference_control_writer = control(made.reference_unet, mode="write")
    made.reference_control_reader = control(made.denoising_unet, mode="read", cache_kv=True)
    made.scheduler = own.DDIMScheduler(**config["noise_scheduler_kwargs"])
    made.scheduler.set_step_length(333)
    made.timesteps = torch.tensor([999, 666, 333, 0], device=device).long()
    made.generator = torch.Generator(device)
    frames = functools.partial(VaeImageProcessor, vae_scale_factor=8, do_convert_rgb=True)
    made.ref_image_processor, made.cond_image_processor = frames(), frames(do_normalize=True)
    made.clip_image_processor = clip_processor(own)
    made.cfg = SimpleNamespace(reference_image_height=size.frames, reference_image_width=size.frames)
    made.reset()
    try:
        made.enable_xformers_memory_efficient_attention()
        made.has_xformers = True
    except Exception:  # its own constructor continues without xFormers, too
        made.has_xformers = False
    return made


def original_extractor(own: Any, size: Any) -> Any:
    """Return the original's motion extractor with stages of this size."""
    detector = importlib.import_module("src.liveportrait.convnextv2").ConvNeXtV2
    network = own.MotionExtractor(num_kp=21)
    depths, widths = (list(each) for each in size.extractor)
    network.detector = detector(depths=depths, dims=widths, num_kp=21)
    return network


def stand_in() -> Any:
    """Return a `personalive_size.SizedStandIn` that is called as the original calls its encoder.

    (1, 3, f, 224, 224) -> (1, f, 32, 16).
    """
    from benchmarks.engines.personalive_size import SizedStandIn

    class Called(SizedStandIn):
        def forward(self, faces: Any) -> Any:
            return super().forward(faces.to(self.final_proj.weight.dtype)[0].transpose(0, 1))[None]

    return Called()


def clip_processor(own: Any) -> Any:
    """Return the processor with which the original prepares the portrait for CLIP.

    In later versions of transformers, the one that works without torchvision has another name.
    """
    from PIL import Image

    try:
        processor = own.CLIPImageProcessor()
        processor.preprocess(Image.new("RGB", (64, 64)), return_tensors="pt")
        return processor
    except Exception:  # it needs torchvision, which may be a stand-in
        return importlib.import_module("transformers.models.clip.image_processing_pil_clip").CLIPImageProcessorPil()


def main() -> None:
    """Answer the requests that come on standard input, one line of JSON each."""
    import torch

    from benchmarks.engines.personalive_size import SIZES

    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    checkout, size = sys.argv[1:]
    with redirect_stdout(sys.stderr), torch.no_grad():  # the original prints its progress
        original = Original(Path(checkout), SIZES[size], torch.device("cuda" if torch.cuda.is_available() else "cpu"))
        for line in sys.stdin:
            asked = json.loads(line)
            answer = getattr(original, asked.pop("what"))(**asked)
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
