"""Attention for the modules that the denoising network adds to Stable Diffusion's, with a selectable kernel."""

from torch import Tensor, nn

from engines.attention import join_heads, sdpa, split_heads
from engines.xformers_attention import Attend


class Attention(nn.Module):
    """Multi-head attention, (b, n, c) -> (b, n, c). context: (b, m, k), or None for self-attention."""

    def __init__(self, channels: int, heads: int, context: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.attend: Attend = sdpa
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context or channels, channels, bias=False)
        self.to_v = nn.Linear(context or channels, channels, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, hidden: Tensor, context: Tensor | None = None) -> Tensor:
        context = hidden if context is None else context
        queries, keys, values = self.to_q(hidden), self.to_k(context), self.to_v(context)
        found = self.attend(*(split_heads(each, self.heads) for each in (queries, keys, values)))
        joined: Tensor = self.to_out[0](join_heads(found))
        return joined
