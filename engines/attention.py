"""Multi-head attention shared by the PyTorch engines. Without masks: every token attends to all tokens."""

import torch.nn.functional as F
from torch import Tensor


def split_heads(tokens: Tensor, heads: int) -> Tensor:
    """Split the channels into heads: (b, n, c) -> (b, heads, n, c / heads)."""
    return tokens.unflatten(-1, (heads, -1)).transpose(1, 2)


def join_heads(tokens: Tensor) -> Tensor:
    """Join the heads into channels: (b, heads, n, d) -> (b, n, heads * d)."""
    return tokens.transpose(1, 2).flatten(2)


def sdpa(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Return PyTorch's fused attention of every query to every key, (b, heads, n, d)."""
    return F.scaled_dot_product_attention(queries, keys, values)
