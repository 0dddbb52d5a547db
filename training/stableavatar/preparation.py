"""Clips of films in the transformer's input form, encoded once and stored.

Training itself then needs none of the other networks.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from engines.stableavatar.condition import condition, image_tensor
from engines.stableavatar.layout import LatentWindow, Layout, sample_at
from engines.stableavatar.networks.encoders import encode_text, encode_video, freed, hear, see_image
from engines.stableavatar.networks.loading import (
    load_clip_file,
    load_hearing_folder,
    load_text_file,
    load_vae_file,
    text_tokens,
)
from engines.stableavatar.networks.transformer import TEXT_TOKENS
from engines.stableavatar.options import NEGATIVE
from engines.stableavatar.speech import heard_by, level_of, write_speech
from engines.stableavatar.weights import Model
from shared.errors import StudioError
from training.stableavatar.films import FilmClip, clips_of, films_in
from training.stableavatar.masks import latent_masks

PROMPT = "The protagonist is talking"  # prompt with which the published model was trained
PrintLine = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TrainingClip:
    """A clip, encoded once for all steps.

    latents: the film's latents, (1, 16, f, h, w). condition: (1, 20, f, h, w), which contains the first frame. image:
        (1, 257, clip), CLIP's tokens of that frame. features: its speech features, (1, n, audio). text, negative:
        embeddings of its prompt and of the engine's negative prompt, (n, text). face, lips: (f, h, w) in 0..1. All
        float32 except the texts.
    """

    latents: Tensor
    condition: Tensor
    image: Tensor
    features: Tensor
    text: Tensor
    negative: Tensor
    face: Tensor
    lips: Tensor

    @classmethod
    def read(cls, path: Path, device: torch.device) -> "TrainingClip":
        """Read a file that `prepare` wrote."""
        held = load_file(path, device=str(device))
        return cls(**{field.name: held[field.name] for field in fields(cls)})


def prepare(
    model: Model, folder: Path, kept: Path, size: tuple[int, int], prompt: str, device: torch.device, said: PrintLine
) -> list[Path]:
    """Encode the clips of a folder's films into `kept`, unless they exist already; return their files.

    A film's prompt is in a text file of the same name, else it is `prompt`. Raises StudioError.
    """
    films = films_in(folder)
    kept.mkdir(parents=True, exist_ok=True)
    stems = {film: _stem(film, size, model, _prompt_of(film, prompt)) for film in films}
    absent = [film for film in films if not (kept / f"{stems[film]}.done").exists()]
    if absent:
        texts = _texts(model, [NEGATIVE, *(_prompt_of(film, prompt) for film in absent)], device)
        vae, clip = load_vae_file(model, device), load_clip_file(model, device)
        hearing = load_hearing_folder(model, device)
        frames = 4 * (model.span - 1) + 1
        for film in absent:
            with TemporaryDirectory(dir=kept) as scratch:
                speech = write_speech(film, Path(scratch, "speech.f32"), lambda: None)
                level = level_of(speech)
                for count, each in enumerate(clips_of(film, frames, size), 1):
                    sound = heard_by(*_window(each, frames, model.span), speech, level)
                    face, lips = latent_masks(each.faces, size)
                    pixels = torch.from_numpy(each.frames).permute(3, 0, 1, 2)[None] / 127.5 - 1
                    image = image_tensor(each.frames[0])
                    made = {
                        "latents": encode_video(vae, pixels),
                        "condition": condition(vae, image, frames),
                        "image": see_image(clip, image),
                        "features": hear(hearing, sound),
                        "text": texts[_prompt_of(film, prompt)],
                        "negative": texts[NEGATIVE],
                        "face": face,
                        "lips": lips,
                    }
                    _write(made, kept / f"{stems[film]}-{each.start:06d}.safetensors")
                    said(f"{film.name}: clip {count}, from frame {each.start}")
                del speech
            (kept / f"{stems[film]}.done").touch()
        freed(vae, clip, hearing)
    found = [path for film in films for path in sorted(kept.glob(f"{stems[film]}-*.safetensors"))]
    if not found:
        raise StudioError(
            f"No film in {folder} shows a face in {4 * (model.span - 1) + 1} frames in a row; use longer films of a "
            "speaking person."
        )
    return found


def _prompt_of(film: Path, otherwise: str) -> str:
    beside = film.with_suffix(".txt")
    return beside.read_text(encoding="utf-8").strip() if beside.is_file() else otherwise


def _stem(film: Path, size: tuple[int, int], model: Model, prompt: str) -> str:
    state = film.stat()
    told = f"{state.st_size} {state.st_mtime_ns} {size} {model.span} {model.folder} {prompt}"
    return f"{film.stem}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"


def _texts(model: Model, wanted: Sequence[str], device: torch.device) -> Mapping[str, Tensor]:
    encoder = load_text_file(model, device, torch.bfloat16 if device.type == "cuda" else torch.float32)
    found = {text: encode_text(encoder, text_tokens(model, text, TEXT_TOKENS)).cpu() for text in set(wanted)}
    freed(encoder)
    return found


def _window(clip: FilmClip, frames: int, span: int) -> tuple[LatentWindow, Layout]:
    sound = sample_at(clip.start, clip.rate), sample_at(clip.start + frames, clip.rate)
    window = LatentWindow(0, 0, span, sound, 0)
    return window, Layout(span, span, frames, (window,), original=False)


def _write(made: Mapping[str, Tensor], path: Path) -> None:
    part = path.with_suffix(".part")
    save_file({name: each.cpu().contiguous() for name, each in made.items()}, part)
    part.replace(path)
