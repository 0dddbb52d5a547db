"""The diffusion transformer: Wan 2.1 with 1.3 B parameters and an additional cross-attention to speech.

Names and shapes are those of the published checkpoints.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from engines.attention import join_heads, sdpa, split_heads
from engines.stableavatar.networks.audio_adapter import AudioAdapter
from engines.stableavatar.networks.layers import (
    Norm,
    RmsNorm,
    WideLinear,
    attend_by_group,
    fed,
    positions,
    scale_shift,
    sinusoid,
    turned,
)
from engines.xformers_attention import Attend

TEXT_TOKENS = 512  # a prompt is padded to this length with zeros, which are not masked
PATCH = (1, 2, 2)  # latent frames, rows and columns per token
Heard = Callable[[int, int], None]  # blocks done, blocks in total


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Sizes of a transformer; the defaults are those of the published one."""

    dim: int = 1536
    heads: int = 12
    layers: int = 30
    feed_forward: int = 8960
    frequencies: int = 256
    text_width: int = 4096
    clip_width: int = 1280
    audio_width: int = 768
    latents_in: int = 36
    latents_out: int = 16

    @classmethod
    def of(cls, config: Mapping[str, Any], state: Mapping[str, Tensor]) -> "Sizes":
        """Return the sizes from the base's config.json and, where it has none, from the tensors.

        Raises KeyError, TypeError, ValueError.
        """
        return cls(
            dim=int(config["dim"]),
            heads=int(config["num_heads"]),
            layers=int(config["num_layers"]),
            feed_forward=int(config["ffn_dim"]),
            frequencies=int(config["freq_dim"]),
            text_width=state["text_embedding.0.weight"].shape[1],
            clip_width=len(state["img_emb.proj.0.weight"]),
            audio_width=state["vocal_projector.proj_model.proj.weight"].shape[1],
            latents_in=int(config["in_dim"]),
            latents_out=int(config["out_dim"]),
        )


class SelfAttention(nn.Module):
    """Self-attention of all tokens of a window."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attend: Attend = sdpa
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim) for _ in range(4))
        self.norm_q, self.norm_k = RmsNorm(dim), RmsNorm(dim)

    def forward(self, hidden: Tensor, places: tuple[Tensor, Tensor]) -> Tensor:
        queries, keys = self.norm_q(self.q(hidden)), self.norm_k(self.k(hidden))
        q, k, v = (split_heads(each, self.heads) for each in (queries, keys, self.v(hidden)))
        out: Tensor = self.o(join_heads(self.attend(turned(q, *places), turned(k, *places), v)))
        return out


@dataclass(frozen=True, slots=True)
class Seen:
    """Keys and values of text and image in one block.

    They are the same at every step and in every window, so they are computed once per job.
    """

    text_keys: Tensor
    text_values: Tensor
    image_keys: Tensor
    image_values: Tensor

    def of(self, rows: Sequence[int]) -> "Seen":
        """Return the keys and values of the given samples."""
        index = list(rows)
        return Seen(self.text_keys[index], self.text_values[index], self.image_keys[index], self.image_values[index])


class CrossAttention(nn.Module):
    """Cross-attention of a token to the text, the image and the speech of its own frame; the results are added."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attend: Attend = sdpa
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim) for _ in range(4))
        self.norm_q, self.norm_k, self.norm_k_img = RmsNorm(dim), RmsNorm(dim), RmsNorm(dim)
        self.k_img, self.v_img, self.k_vocal, self.v_vocal = (nn.Linear(dim, dim) for _ in range(4))

    def see(self, text: Tensor, image: Tensor) -> Seen:
        """Return keys and values of embedded text and image, (b, n, dim) each."""
        keys_values = (self.norm_k(self.k(text)), self.v(text), self.norm_k_img(self.k_img(image)), self.v_img(image))
        return Seen(*(split_heads(each, self.heads) for each in keys_values))

    def forward(self, hidden: Tensor, seen: Seen, speech: Tensor, groups: int) -> Tensor:
        """Attend to text, portrait and speech.

        speech: (b or less, groups * m, dim).
        """
        queries = split_heads(self.norm_q(self.q(hidden)), self.heads)
        keys, values = (split_heads(fed(each, speech), self.heads) for each in (self.k_vocal, self.v_vocal))
        found = self.attend(queries, seen.text_keys, seen.text_values)
        found = found + self.attend(queries, seen.image_keys, seen.image_values)
        found = found + attend_by_group(queries, keys, values, groups, self.attend)
        out: Tensor = self.o(join_heads(found))
        return out


class TransformerBlock(nn.Module):
    """One of the transformer's blocks."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        dim = sizes.dim
        self.norm1, self.norm2, self.norm3 = Norm(dim), Norm(dim), Norm(dim, affine=True)
        self.self_attn = SelfAttention(dim, sizes.heads)
        self.cross_attn = CrossAttention(dim, sizes.heads)
        self.ffn = nn.Sequential(
            nn.Linear(dim, sizes.feed_forward), nn.GELU(approximate="tanh"), nn.Linear(sizes.feed_forward, dim)
        )
        self.modulation = nn.Parameter(torch.zeros(1, 6, dim))

    def forward(
        self, hidden: Tensor, time: Tensor, places: tuple[Tensor, Tensor], seen: Seen, speech: Tensor, groups: int
    ) -> Tensor:
        m = (self.modulation + time).chunk(6, 1)
        hidden = hidden + self.self_attn(scale_shift(self.norm1(hidden), m[1], m[0]), places) * m[2]
        hidden = hidden + self.cross_attn(self.norm3(hidden), seen, speech, groups)
        out: Tensor = hidden + self.ffn(scale_shift(self.norm2(hidden), m[4], m[3])) * m[5]
        return out


class OutputHead(nn.Module):
    """Output layer from tokens to the latents of their patch."""

    def __init__(self, dim: int, out: int) -> None:
        super().__init__()
        self.norm = Norm(dim)
        self.head = nn.Linear(dim, out * PATCH[1] * PATCH[2])
        self.modulation = nn.Parameter(torch.zeros(1, 2, dim))

    def forward(self, hidden: Tensor, time: Tensor) -> Tensor:
        shift, scale = (self.modulation + time[:, None]).chunk(2, 1)
        out: Tensor = self.head(scale_shift(self.norm(hidden), scale, shift))
        return out


class ImageEmbedding(nn.Module):
    """Projection of CLIP's tokens to the transformer's width."""

    def __init__(self, clip: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Sequential(
            Norm(clip, affine=True, eps=1e-5),
            nn.Linear(clip, clip),
            nn.GELU(),
            nn.Linear(clip, dim),
            Norm(dim, affine=True, eps=1e-5),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.proj(tokens)
        return out


class Transformer(nn.Module):
    """Predicts the velocity, noise minus data, of a window of latent frames."""

    def __init__(self, sizes: Sizes = Sizes()) -> None:
        super().__init__()
        dim, self.sizes = sizes.dim, sizes
        self.patch_embedding = nn.Conv3d(sizes.latents_in, dim, PATCH, PATCH)
        self.text_embedding = nn.Sequential(
            nn.Linear(sizes.text_width, dim), nn.GELU(approximate="tanh"), nn.Linear(dim, dim)
        )
        self.time_embedding = nn.Sequential(WideLinear(sizes.frequencies, dim), nn.SiLU(), WideLinear(dim, dim))
        self.time_projection = nn.Sequential(nn.SiLU(), WideLinear(dim, 6 * dim))
        self.img_emb = ImageEmbedding(sizes.clip_width, dim)
        self.blocks = nn.ModuleList(TransformerBlock(sizes) for _ in range(sizes.layers))
        self.head = OutputHead(dim, sizes.latents_out)
        self.vocal_projector = AudioAdapter(sizes.audio_width, dim)
        self.home: torch.device | None = None  # device that stores idle blocks; None: where they compute
        self.checkpointing = False  # for training: recompute blocks instead of storing their activations

    @property
    def device(self) -> torch.device:
        return self.patch_embedding.weight.device

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.patch_embedding.weight.dtype
        return dtype

    def attend_by(self, kernel: Attend) -> None:
        """Use this kernel for the blocks' attention, but not in the adapter, whose heads are few and wider."""
        for block in self.blocks:
            block.self_attn.attend = block.cross_attn.attend = kernel

    @contextmanager
    def _at_work(self, block: nn.Module) -> Any:
        if self.home is not None:
            block.to(self.device)
        try:
            yield block
        finally:
            if self.home is not None:
                block.to(self.home)

    def see(self, texts: Sequence[Tensor], clip: Tensor) -> list[Seen]:
        """Return each block's keys and values of texts, (n, text) each, and of the image's CLIP tokens, (1, 257, clip).

        They stay in memory for the whole job: 142 MB per text in bfloat16 at full size.
        """
        filled = [nn.functional.pad(each, (0, 0, 0, TEXT_TOKENS - len(each))) for each in texts]
        text = fed(self.text_embedding, torch.stack(filled).to(self.device))
        image = self.img_emb(clip.to(self.device, self.dtype)).expand(len(texts), -1, -1)
        seen = []
        for block in self.blocks:
            with self._at_work(block):
                seen.append(block.cross_attn.see(text, image))
        return seen

    def times(self, time: Tensor) -> tuple[Tensor, Tensor]:
        """Return the six modulations, (b, 6, dim), and their embedding, (b, dim), for times in 0..1000.

        Computed in float32, with weights of any precision.
        """
        embedded = self.time_embedding(sinusoid(time, self.sizes.frequencies))
        modulations = self.time_projection(embedded).unflatten(1, (6, -1))
        return modulations.to(self.dtype), embedded.to(self.dtype)

    def forward(
        self,
        latents: Tensor,
        condition: Tensor,
        time: Tensor,
        seen: Sequence[Seen],
        features: Tensor,
        *,
        heard: Sequence[bool],
        frames: int,
        tokens: int = 0,
        clip_level: bool = False,
        on_block: Heard | None = None,
    ) -> Tensor:
        """Return the velocity, in the shape of `latents`.

        latents: (b, 16, f, h, w). condition: (1 or b, 20, f, h, w). time: (1 or b,) in 0..1000. seen: result of `see`
            for b samples. features: (1, n, audio), of the window's speech. heard: for each sample, whether it uses the
            speech; the others get zeros in place of the adapter's output; if there are more than b entries, their
            speech is concatenated, as the original does without guidance. frames: video frames of a full window.
            tokens: number of tokens of a full window, to which a shorter one is padded with zeros that take part in
            attention, as the original does; 0: no padding. clip_level: every token attends to all of the window's
            speech (an option of training).
        """
        shape = (latents.shape[2], latents.shape[3] // PATCH[1], latents.shape[4] // PATCH[2])
        given = torch.cat([latents, condition.expand(len(latents), -1, -1, -1, -1)], 1)
        hidden = self.patch_embedding(given.to(self.dtype)).flatten(2).transpose(1, 2)
        hidden = nn.functional.pad(hidden, (0, 0, 0, max(0, tokens - hidden.shape[1])))
        modulations, embedded = self.times(time)
        speech = self.vocal_projector(features, frames, hidden[-1:], (modulations[-1:], embedded[-1:])).to(self.dtype)
        groups, speech = (1 if clip_level else speech.shape[1]), speech.flatten(1, 2)
        speech = torch.cat([speech if hears else torch.zeros_like(speech) for hears in heard])
        speech = speech.reshape(len(latents), -1, speech.shape[-1])
        places = positions(shape, self.sizes.dim // self.sizes.heads, hidden.device)
        for number, (block, each) in enumerate(zip(self.blocks, seen, strict=True), 1):
            with self._at_work(block):
                if self.checkpointing and torch.is_grad_enabled():
                    hidden = checkpoint(block, hidden, modulations, places, each, speech, groups, use_reentrant=False)
                else:
                    hidden = block(hidden, modulations, places, each, speech, groups)
            if on_block is not None:
                on_block(number, len(self.blocks))
        return self._unpatched(self.head(hidden, embedded)[:, : shape[0] * shape[1] * shape[2]], shape)

    def _unpatched(self, tokens: Tensor, shape: tuple[int, int, int]) -> Tensor:
        frames, rows, columns = shape
        cut = tokens.view(len(tokens), frames, rows, columns, PATCH[1], PATCH[2], -1)
        return cut.permute(0, 6, 1, 2, 4, 3, 5).flatten(5, 6).flatten(3, 4)
