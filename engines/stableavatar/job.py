"""Execution of a clip's units."""

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from engines.clip import CLIP_FILE, Clip, RunContext
from engines.stableavatar import estimate, units
from engines.stableavatar.condition import condition, cut_out, image_tensor, reference_image
from engines.stableavatar.decode import VideoDecoder, frames_of
from engines.stableavatar.layout import LatentWindow, Layout
from engines.stableavatar.loaded import Loaded, out_of_memory
from engines.stableavatar.loop import reuse
from engines.stableavatar.loop.blend import joined
from engines.stableavatar.loop.guidance import Guidance, predicted
from engines.stableavatar.loop.schedule import TRAINED_STEPS, clean_estimate, euler, frame_noise, original_noise, sigmas
from engines.stableavatar.networks.encoders import encode_text, freed, hear, see_image
from engines.stableavatar.networks.loading import (
    load_clip_file,
    load_hearing_folder,
    load_text_file,
    text_tokens,
)
from engines.stableavatar.networks.transformer import TEXT_TOKENS, Transformer
from engines.stableavatar.options import StableAvatarOptions
from engines.stableavatar.plan import layout_of, options_of, read_count, write_count
from engines.stableavatar.settings import StableAvatarSettings
from engines.stableavatar.speech import heard_by, level_of, write_speech
from engines.stableavatar.weights import Model, read_model
from shared.errors import StudioError
from shared.jobs.graph import UnitSpec
from shared.media.colour import rgb_to_i420
from shared.media.mp4 import Mp4Writer

CONDITIONS, LATENTS = "conditions.safetensors", "latents.safetensors"
PREVIEW_STEPS = 5  # steps between two previews of the clip's first window
LATENT_PX = 8


class ClipJob:
    """Runs the units of jobs one after the other and keeps loaded networks in between."""

    def __init__(self, settings: StableAvatarSettings) -> None:
        self.loaded = Loaded(settings)

    def run(self, unit: UnitSpec, clip: Clip, context: RunContext) -> None:
        """Run one unit. Raises StudioError."""
        model = read_model()
        work = UnitWork(self.loaded, model, clip, context)
        with torch.no_grad(), out_of_memory(work.device):
            if unit.name == units.ENCODE:
                work.encode()
            elif unit.name == units.LISTEN:
                work.listen()
            elif unit.name == units.CLIP:
                work.write()
            else:
                work.denoise(*units.step_and_window(unit.name))


class UnitWork:
    """Execution of one unit of a clip."""

    def __init__(self, loaded: Loaded, model: Model, clip: Clip, context: RunContext) -> None:
        self.loaded, self.model, self.clip, self.context = loaded, model, clip, context
        self.options: StableAvatarOptions = options_of(clip)
        self.original = self.options.mode == "parity"
        self.size = model.size(self.options.size, clip.size)
        self.device = loaded.device(context.devices, model)
        self.levels = sigmas(self.options.steps)

    def layout(self) -> Layout:
        """Return the layout of the clip, available once the speech was read."""
        return layout_of(self.clip, self.options, self.model, read_count(self.context.made(units.LISTEN)))

    def encode(self) -> None:
        """Encode texts, image and the condition of every window; each encoder is released after use."""
        self.loaded.let_go()
        at = torch.device("cpu") if self.loaded.settings.offload != "none" or self.context.low_memory else self.device
        steps = iter(range(1, 6))

        def said() -> None:
            self.context.progress(next(steps), 5)

        said()
        encoder = load_text_file(self.model, at, self.loaded.dtype(self.device))
        said()
        texts = {}
        for name, text in (("negative", self.options.negative_prompt), ("prompt", self.options.prompt)):
            texts[name] = encode_text(encoder, text_tokens(self.model, text, TEXT_TOKENS)).cpu()
        freed(encoder)
        said()
        image = image_tensor(reference_image(self.clip.avatar, self.options.reference, *self.size, self.original))
        clip = load_clip_file(self.model, at)
        seen = see_image(clip, image).cpu()
        freed(clip)
        said()
        vae = self.loaded.vae(self.model, self.device)
        frames = 4 * (self.model.span - 1) + 1
        given = condition(vae, image, frames).cpu()
        save_file({**texts, "image": seen, "condition": given}, self.context.scratch / CONDITIONS)
        said()

    def listen(self) -> None:
        """Compute the features of the speech for each window."""
        folder = self.context.scratch
        path = folder / "speech.f32"
        speech = write_speech(self.clip.driver, path, self.context.raise_if_cancelled)
        write_count(folder, len(speech))
        layout = layout_of(self.clip, self.options, self.model, len(speech))
        if layout.windows:
            network = load_hearing_folder(self.model, self.device)
            level = level_of(speech)
            for window in layout.windows:
                features = hear(network, heard_by(window, layout, speech, level)).cpu().contiguous()
                save_file({"features": features}, folder / speech_file(window))
                self.context.progress(window.number + 1, len(layout.windows))
            freed(network)
        path.unlink()

    def denoise(self, step: int, number: int) -> None:
        """Denoise one window of one step."""
        layout = self.layout()
        window = layout.windows[number]
        options = self.options
        lora = (self.model.own(options.lora), options.lora_strength) if options.lora else ("", 0.0)
        file = self.model.transformer(self.size, options.checkpoint)
        transformer = self.loaded.transformer(self.model, file, self.device, self.context.low_memory, lora)
        before = self._latents(layout, window, step, transformer.dtype)
        took_over = self._reused(transformer)[step] if self.options.reuse else False
        began = time.monotonic()
        if took_over:
            made = self.context.made(units.window_unit(step - 1, number)) / LATENTS
            velocity = load_file(made)["velocity"].to(self.device)
        else:
            velocity = self._velocity(transformer, layout, window, before, step)
        after = euler(before, velocity, *self.levels[step : step + 2])
        if not bool(torch.isfinite(after).all()):
            raise StudioError(
                f"StableAvatar's values overflowed in {str(transformer.dtype).removeprefix('torch.')}; set"
                " STUDIO_STABLEAVATAR_PRECISION=fp32, or bf16 if the GPU supports it."
            )
        kept = {"latents": after.cpu().contiguous()}
        if self.options.reuse:
            kept["velocity"] = velocity.cpu().contiguous()
        save_file(kept, self.context.scratch / LATENTS)
        if number == 0 and step % PREVIEW_STEPS == PREVIEW_STEPS - 1:
            self._preview(clean_estimate(before, velocity, self.levels[step]))
        if not took_over:
            self._note_rate(layout, time.monotonic() - began)

    def _latents(self, layout: Layout, window: LatentWindow, step: int, dtype: torch.dtype) -> Tensor:
        """Return a window's input latents of a step: float32, or the transformer's precision as in the original."""
        if step:

            def made(each: LatentWindow) -> Tensor:
                return load_file(self.context.made(units.window_unit(step - 1, each.number)) / LATENTS)["latents"]

            return joined(layout, window, step - 1, made, self.options.blend).to(self.device)
        seed, size = self.options.seed, (self.size[1] // LATENT_PX, self.size[0] // LATENT_PX)
        if self.original:
            noise = original_noise(seed, layout.latents, size)[:, :, window.start : window.stop]
            return noise.to(self.device, dtype)
        return frame_noise(seed, window.start, window.stop, size).to(self.device)

    def _velocity(
        self, transformer: Transformer, layout: Layout, window: LatentWindow, latents: Tensor, step: int
    ) -> Tensor:
        conditions = load_file(self.context.made(units.ENCODE) / CONDITIONS)
        guidance = Guidance(self.options.text_guidance, self.options.audio_guidance, self.original)
        texts = [conditions[("negative", "prompt")[which]] for which in guidance.texts]
        seen = self.loaded.seen(transformer, self.context.made(units.ENCODE), lambda: (texts, conditions["image"]))
        features = load_file(self.context.made(units.LISTEN) / speech_file(window))["features"].to(self.device)
        given = conditions["condition"][:, :, : len(window)].to(self.device)
        apart = self.context.low_memory and len(texts) > 1
        rows = len(texts) if apart else 1
        blocks = len(transformer.blocks)
        done = 0

        def on_block(*_: int) -> None:
            nonlocal done
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)  # without it, queued work would hide the progress for a second
            done += 1
            self.context.progress(done, rows * blocks)

        def predict(samples: list[int], heard: tuple[bool, ...]) -> Tensor:
            return transformer(
                latents.expand(len(samples), -1, -1, -1, -1),
                given,
                (self.levels[step] * TRAINED_STEPS)[None].to(self.device),
                seen if len(samples) == len(texts) else [each.of(samples) for each in seen],
                features,
                heard=heard,
                frames=layout.window_frames,
                tokens=layout.span * latents[0, 0, 0].numel() // 4 if layout.original else 0,
                on_block=on_block,
            )

        found = predicted(guidance, predict, "apart" if apart else "together")
        return found if layout.original else found.float()

    def _reused(self, transformer: Transformer) -> list[bool]:
        return reuse.reused_steps(reuse.changes(transformer, self.levels), self.options.reuse)

    def _preview(self, clean: Tensor) -> None:
        middle = clean.shape[2] // 2
        vae = self.loaded.vae(self.model, self.device)
        (frame,) = VideoDecoder(vae).decode([clean[:, :, middle : middle + 1]])
        self.context.progress(1, 1, frames_of(frame)[0])

    def _note_rate(self, layout: Layout, seconds: float) -> None:
        guidance = Guidance(self.options.text_guidance, self.options.audio_guidance, self.original)
        work = estimate.work_of(self.model, layout, self.size, len(guidance.texts))
        if not self.model.tiny:
            estimate.note_rate(torch.cuda.get_device_name(self.device), work.window / seconds)

    def write(self) -> None:
        """Decode the latents and encode the video, frame by frame."""
        layout = self.layout()
        decoder = VideoDecoder(self.loaded.vae(self.model, self.device))
        rows, columns = cut_out(self.clip.avatar, self.options.reference, *self.size, self.original)
        width, height = columns.stop - columns.start, rows.stop - rows.start
        written = 0
        with Mp4Writer(self.context.scratch / CLIP_FILE, width, height, self.clip.rate, sound=False) as writer:
            for decoded in decoder.decode(self._final(layout)):
                for frame in frames_of(decoded, self.original)[: layout.frames - written]:
                    writer.frame(rgb_to_i420(np.ascontiguousarray(frame[rows, columns])), index=written)
                    written += 1
                self.context.progress(written, layout.frames)
                if written == layout.frames:
                    break

    def _final(self, layout: Layout) -> Iterator[Tensor]:
        """Yield the latent frames of the finished clip; memory holds only the windows that include the current one."""
        if not layout.windows:  # speech too short for a window: the original's clip is grey
            size = (self.size[1] // LATENT_PX, self.size[0] // LATENT_PX)
            yield from (torch.zeros(1, 16, 1, *size) for _ in range(layout.latents))
            return
        last = self.options.steps - 1

        def made(each: LatentWindow) -> Tensor:
            return load_file(self.context.made(units.window_unit(last, each.number)) / LATENTS)["latents"]

        for window, after in pairwise((*layout.windows, None)):
            assert window is not None
            latents = joined(layout, window, last, made, self.options.blend)
            count = (after.start if after else layout.latents) - window.start
            yield from latents[:, :, :count].float().split(1, 2)


def speech_file(window: LatentWindow) -> Path:
    """Return the path of a window's features, relative to the folder of the unit "listen"."""
    return Path(f"window-{window.number:04d}.safetensors")
