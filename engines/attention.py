"""Attention over several heads, shared by the engines of PyTorch. No masks: everything given is attended to."""

import torch.nn.functional as F
from torch import Tensor


def split_heads(tokens: Tensor, heads: int) -> Tensor:
    """(b, n, c) -> (b, heads, n, c / heads)."""
    return tokens.unflatten(-1, (heads, -1)).transpose(1, 2)


def join_heads(tokens: Tensor) -> Tensor:
    """(b, heads, n, d) -> (b, n, heads * d)."""
    return tokens.transpose(1, 2).flatten(2)


def sdpa(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """PyTorch's own fused attention of every query to every key, (b, heads, n, d)."""
    return F.scaled_dot_product_attention(queries, keys, values)
