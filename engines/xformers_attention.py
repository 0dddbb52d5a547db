"""xFormers' fused attention in place of PyTorch's own, where it loads beside this PyTorch and computes the same.

Its wheel uses PyTorch's stable interface and so fits later versions too. Beside a PyTorch built for CUDA 13 it lacks
the runtime of CUDA 12, which a package of its own provides (the extra `xformers`).
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
TRIED = (1, 2, 96, 64)  # batch, heads, tokens, width of the call that decides, where an engine names none
# How far a kernel may be from PyTorch's float32, of values about 1: by its precision.
NEAR = {torch.float16: 0.01, torch.bfloat16: 0.03, torch.float32: 0.001}
REASON = re.compile(r"^ {4}(\S.*)$", re.MULTILINE)  # of a kernel that does not fit; what was given stands further in
MOST_REASONS = 3


def xformers_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """XFormers' attention, which takes heads after tokens.

    (b, heads, n, d), of the kinds `xformers_problem` found fit.
    """
    from xformers.ops import memory_efficient_attention

    joined = (each.transpose(1, 2) for each in (queries, keys, values))
    return memory_efficient_attention(*joined).transpose(1, 2)


def xformers_problem(device: torch.device, tried: Sequence[int] = TRIED, dtype: torch.dtype = torch.float16) -> str:
    """Why xFormers is not available on this device, the end of a sentence that begins with its name; "" where it is.

    Loads it, and has it compute a little: `tried`, (b, heads, n, d) as an engine's heads are, in the precision of the
    engine.
    """
    if device.type != "cuda":
        return "runs on a GPU alone, and PyTorch uses none here"
    if find_spec("xformers") is None:
        return "is not installed (the extra `xformers`)"
    return runtime_problem() or attention_problem(xformers_attention, device, dtype, tried)


def runtime_problem() -> str:
    """Load CUDA 12's runtime, which xFormers' kernels are linked to.

    Returns why that is impossible, in the words of `xformers_problem`, or "".
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
    """What is wrong with a kernel, by a small call compared with PyTorch's own attention (`xformers_problem`)."""
    dice = torch.Generator().manual_seed(0)
    given = [torch.randn(tuple(tried), generator=dice).to(device, dtype) for _ in range(3)]
    try:
        found = attend(*given).float()
    except NotImplementedError as error:  # it says of each of its kernels why that does not fit
        reasons = list(dict.fromkeys(REASON.findall(str(error))))[:MOST_REASONS]
        return f"has no kernel for this GPU and PyTorch {torch.__version__} ({', '.join(reasons) or named(error)})"
    except Exception as error:  # kernels that are built for another PyTorch fail in many ways
        return f"does not work with PyTorch {torch.__version__} ({named(error)})"
    wanted = F.scaled_dot_product_attention(*(each.float() for each in given))
    apart = float((found - wanted).abs().max()) if found.shape == wanted.shape else float("inf")
    return "" if apart <= NEAR[dtype] else f"computes something else than PyTorch's own attention ({apart:.2g} apart)"
