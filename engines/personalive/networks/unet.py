"""The two large networks, both based on diffusers' stock Stable Diffusion UNet.

The reference network reads the portrait once and stores, for each of its 16 transformers, the tokens that the denoising
network attends to in addition to its own. The denoising network is the same UNet with the window's frames folded into
the batch, a pose feature added to its first layer, and a motion and a temporal module after every layer.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from engines.attention import join_heads, sdpa, split_heads
from engines.personalive.networks.adapter_layers import MotionModule, TemporalModule
from engines.personalive.networks.schedule import CHUNK_FRAMES, LEVELS
from engines.xformers_attention import Attend

Bank = list[Tensor]  # the reference network's tokens: 16 times (1, tokens, channels), in the order of `walk`
Insert = Callable[[nn.Module, int, Tensor], Tensor]
Attended = Callable[[nn.Module, Tensor], Tensor]


def walk(unet: UNet2DConditionModel, hidden: Tensor, time: Tensor, attended: Attended, insert: Insert) -> Tensor:
    """Run the stock layers, from after the first convolution to before the last norm.

    attended: called in place of a transformer. insert: called after layer i of a block.
    """
    skips = [hidden]
    for block in unet.down_blocks:
        for i, resnet in enumerate(block.resnets):
            hidden = resnet(hidden, time)
            if hasattr(block, "attentions"):
                hidden = attended(block.attentions[i], hidden)
            hidden = insert(block, i, hidden)
            skips.append(hidden)
        for downsampler in block.downsamplers or ():
            hidden = downsampler(hidden)
            skips.append(hidden)
    middle = unet.mid_block
    hidden = attended(middle.attentions[0], middle.resnets[0](hidden, time))
    hidden = middle.resnets[1](insert(middle, 0, hidden), time)
    for block in unet.up_blocks:
        for i, resnet in enumerate(block.resnets):
            hidden = resnet(torch.cat([hidden, skips.pop()], 1), time)
            if hasattr(block, "attentions"):
                hidden = attended(block.attentions[i], hidden)
            hidden = insert(block, i, hidden)
        for upsampler in block.upsamplers or ():
            hidden = upsampler(hidden)
    return hidden


def transformers(unet: UNet2DConditionModel) -> Iterator[nn.Module]:
    """Yield the 16 transformers in the order of `walk`."""
    for block in (*unet.down_blocks, unet.mid_block, *unet.up_blocks):
        yield from getattr(block, "attentions", ())


def time_embedding(unet: UNet2DConditionModel, times: Tensor) -> Tensor:
    """Return the embedding of time steps: (n,) -> (n, width)."""
    embedded: Tensor = unet.time_embedding(unet.time_proj(times).to(unet.dtype))
    return embedded


def through_tokens(transformer: nn.Module, hidden: Tensor, through: Callable[[nn.Module, Tensor], Tensor]) -> Tensor:
    """Run a stock transformer whose block is replaced: `through` gets the block and (f, tokens, channels)."""
    tokens = transformer.proj_in(transformer.norm(hidden)).flatten(2).transpose(1, 2)
    tokens = through(transformer.transformer_blocks[0], tokens)
    back = tokens.transpose(1, 2).reshape(hidden.shape)  # channels last, the convolution's fastest layout on a GPU
    found: Tensor = transformer.proj_out(back) + hidden
    return found


class ReferenceUNet(UNet2DConditionModel):
    """The stock UNet without its last norm and convolution, whose results are not used."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        del self.conv_norm_out, self.conv_out

    def read(self, latent: Tensor, clip: Tensor) -> Bank:
        """Return the bank of an image: latent (1, 4, h, w), clip (1, 1, width)."""
        bank: Bank = []

        def attended(transformer: nn.Module, hidden: Tensor) -> Tensor:
            def through(block: nn.Module, tokens: Tensor) -> Tensor:
                bank.append(block.norm1(tokens))
                found: Tensor = block(tokens, encoder_hidden_states=clip)
                return found

            return through_tokens(transformer, hidden, through)

        time = time_embedding(self, torch.zeros(1, device=latent.device))
        walk(self, self.conv_in(latent), time, attended, lambda _block, _i, hidden: hidden)
        return bank


@dataclass(slots=True)
class Memory:
    """Keys and values that stay the same from call to call.

    They come from the banks of portrait and keyframes; the constants come from the portrait's CLIP embedding.

    keys, values: 16 times (1, heads, tokens of all banks, d). constants: 16 times (1, 1, channels), the result of the
        attention to CLIP's single token, whose softmax is always 1.
    """

    keys: list[Tensor]
    values: list[Tensor]
    constants: list[Tensor]


class DenoisingUNet(UNet2DConditionModel):
    """Predicts the noise in the 16 frames of the window."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.attend: Attend = sdpa
        widths = self.config.block_out_channels
        layers = self.config.layers_per_block
        for block, width in zip(self.down_blocks, widths, strict=True):
            insert_modules(block, [width] * layers)
        insert_modules(self.mid_block, [widths[-1]])
        for block, width in zip(self.up_blocks, reversed(widths), strict=True):
            insert_modules(block, [width] * (layers + 1))

    def times(self, device: torch.device) -> Tensor:
        """Return the time embeddings of the window, (16, width), which never change."""
        levels = time_embedding(self, torch.tensor(LEVELS, device=device))
        return levels.repeat_interleave(CHUNK_FRAMES, 0)

    def remember(self, bank: Bank, clip: Tensor) -> Memory:
        """Project a bank with this network's own key and value layers."""
        keys: list[Tensor] = []
        values: list[Tensor] = []
        constants: list[Tensor] = []
        for transformer, tokens in zip(transformers(self), bank, strict=True):
            block = transformer.transformer_blocks[0]
            own, cross = block.attn1, block.attn2
            for kept, to in ((keys, own.to_k), (values, own.to_v)):  # in the same memory layout as joined memories
                kept.append(split_heads(to(tokens), own.heads).clone(memory_format=torch.contiguous_format))
            constants.append(cross.to_out[0](cross.to_v(clip)))
        return Memory(keys, values, constants)

    def forward(self, frames: Tensor, times: Tensor, memory: Memory, motion: Tensor, pose: Tensor) -> Tensor:
        """Predict noise: frames (16, 4, h, w), times (16, width), motion (16, 32, 16), pose (16, channels, h, w)."""
        at = iter(range(len(memory.constants)))

        def attended(transformer: nn.Module, hidden: Tensor) -> Tensor:
            i = next(at)
            return through_tokens(transformer, hidden, lambda block, tokens: self._block(block, tokens, memory, i))

        def insert(block: nn.Module, i: int, hidden: Tensor) -> Tensor:
            inserted: Tensor = block.temporal_modules[i](block.motion_modules[i](hidden, motion))
            return inserted

        hidden = walk(self, self.conv_in(frames) + pose, times, attended, insert)
        noise: Tensor = self.conv_out(self.conv_act(self.conv_norm_out(hidden)))
        return noise

    def _block(self, block: nn.Module, tokens: Tensor, memory: Memory, i: int) -> Tensor:
        own = block.attn1
        normed = block.norm1(tokens)
        queries, keys, values = (split_heads(to(normed), own.heads) for to in (own.to_q, own.to_k, own.to_v))
        if memory.keys:
            keys = torch.cat([keys, memory.keys[i].expand(len(keys), -1, -1, -1)], 2)
            values = torch.cat([values, memory.values[i].expand(len(values), -1, -1, -1)], 2)
        tokens = tokens + own.to_out[0](join_heads(self.attend(queries, keys, values))) + memory.constants[i]
        forwarded: Tensor = tokens + block.ff(block.norm3(tokens))
        return forwarded


def insert_modules(block: nn.Module, widths: list[int]) -> None:
    """Add the motion and temporal modules to a block of the stock UNet, under the checkpoints' names."""
    block.motion_modules = nn.ModuleList([MotionModule(width) for width in widths])
    block.temporal_modules = nn.ModuleList([TemporalModule(width) for width in widths])


def join_memories(memory: Memory, more: Memory) -> Memory:
    """Join two memories; the portrait's constants are the same in both."""
    keys = [torch.cat(both, 2) for both in zip(memory.keys, more.keys, strict=True)]
    values = [torch.cat(both, 2) for both in zip(memory.values, more.values, strict=True)]
    return Memory(keys, values, memory.constants)
