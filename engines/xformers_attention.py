"""XFormers' fused attention instead of PyTorch's, for machines where it loads and computes the same result.

The xFormers wheel uses PyTorch's stable ABI and therefore also works with later PyTorch versions. With a PyTorch built
for CUDA 13 it lacks the CUDA 12 runtime, which a separate package provides (the extra `xformers`).
"""

import ctypes
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import metadata
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor

from shared.errors import named

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]  # queries, keys, values: (b, heads, n, d) -> (b, heads, n, d)
RUNTIME, RUNTIME_PACKAGE = "libcudart.so.12", "nvidia-cuda-runtime-cu12"
TRIED = (1, 2, 96, 64)  # batch, heads, tokens, head width of the test call, unless an engine names its own
# Largest accepted difference from PyTorch's float32 result, for values of about 1, by precision.
NEAR = {torch.float16: 0.01, torch.bfloat16: 0.03, torch.float32: 0.001}
REASON = re.compile(r"^ {4}(\S.*)$", re.MULTILINE)  # reasons of a kernel that does not fit; inputs are indented further
MOST_REASONS = 3


def xformers_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Return xFormers' attention, (b, heads, n, d); xFormers itself expects the heads after the tokens.

    Only for the devices, dtypes and shapes that `xformers_problem` has accepted.
    """
    from xformers.ops import memory_efficient_attention

    joined = (each.transpose(1, 2) for each in (queries, keys, values))
    return memory_efficient_attention(*joined).transpose(1, 2)


def xformers_problem(device: torch.device, tried: Sequence[int] = TRIED, dtype: torch.dtype = torch.float16) -> str:
    """Return why xFormers is unavailable on this device; "" if it is available.

    The text continues a sentence that begins with "xFormers". Loads xFormers and runs a small computation. tried: the
    computation's shape, (b, heads, n, d), like the engine's own attention. dtype: the engine's precision.
    """
    if device.type != "cuda":
        return "runs only on a GPU, and PyTorch finds none here"
    if find_spec("xformers") is None:
        return "is not installed (the extra `xformers`)"
    return runtime_problem() or attention_problem(xformers_attention, device, dtype, tried)


def runtime_problem() -> str:
    """Load the CUDA 12 runtime, which xFormers' kernels are linked to.

    Returns why that is impossible, worded as in `xformers_problem`, or "".
    """
    with suppress(metadata.PackageNotFoundError):
        for file in metadata.files(RUNTIME_PACKAGE) or ():
            if file.name == RUNTIME:
                with suppress(OSError):
                    ctypes.CDLL(str(file.locate()), mode=ctypes.RTLD_GLOBAL)
    try:
        ctypes.CDLL(RUNTIME)
    except OSError as error:
        return f"lacks {RUNTIME} ({error}); install {RUNTIME_PACKAGE}"
    return ""


def attention_problem(
    attend: Attend, device: torch.device, dtype: torch.dtype = torch.float16, tried: Sequence[int] = TRIED
) -> str:
    """Return what is wrong with a kernel, found by comparing a small call with PyTorch's attention; "" if nothing is.

    attend: the kernel. The text is worded as in `xformers_problem`.
    """
    dice = torch.Generator().manual_seed(0)
    given = [torch.randn(tuple(tried), generator=dice).to(device, dtype) for _ in range(3)]
    try:
        found = attend(*given).float()
    except NotImplementedError as error:  # the message lists why each of its kernels does not fit
        reasons = list(dict.fromkeys(REASON.findall(str(error))))[:MOST_REASONS]
        return f"has no kernel for this GPU and PyTorch {torch.__version__} ({', '.join(reasons) or named(error)})"
    except Exception as error:  # kernels built for another PyTorch fail in many ways
        return f"does not work with PyTorch {torch.__version__} ({named(error)})"
    wanted = F.scaled_dot_product_attention(*(each.float() for each in given))
    apart = float((found - wanted).abs().max()) if found.shape == wanted.shape else float("inf")
    return "" if apart <= NEAR[dtype] else f"differs from PyTorch's own attention by {apart:.2g}"
