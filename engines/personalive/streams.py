"""Queues for a session's work on the device.

On a GPU there are three CUDA streams, which all sessions share:

reading: the driver's frames, from their upload to head pose, pose feature and motion tokens. The host has to know where
    a face is before it can cut it out. Since this queue is ahead of the others, the host does not wait for denoising.
denoising: the portrait, the window, the keyframes.
decoding: decodes clean latents and transfers the frames to the host, while the next chunk is denoised.

A tensor belongs to the stream that makes it. `wait_for` hands a tensor over to another stream, and only `send` and
`begin_fetch` transfer data between host and device, so each part of a call waits only for what it needs. On a CPU there
are no queues: everything runs immediately, in program order.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

PendingTensor = Callable[[], Tensor]  # waits until a tensor has arrived on the host


class Stream:
    """One queue of a device's work."""

    def __init__(self, device: torch.device, *, first: bool = False) -> None:
        """Create the queue.

        first: its work takes priority over that of the others.
        """
        self._cuda = torch.cuda.Stream(device, priority=-1 if first else 0) if device.type == "cuda" else None

    def work(self) -> AbstractContextManager[object]:
        """Context manager inside which work is added to this queue."""
        return nullcontext() if self._cuda is None else torch.cuda.stream(self._cuda)

    def wait_for(self, maker: "Stream", *tensors: Tensor) -> None:
        """Allow this queue to use these tensors, which `maker` makes, from here on.

        The queue waits until they are made, and their memory is not reused before the queue has finished with them.
        """
        if self._cuda is None or maker._cuda is None:
            return
        self._cuda.wait_stream(maker._cuda)
        for tensor in tensors:
            tensor.record_stream(self._cuda)


@dataclass(frozen=True, slots=True)
class Streams:
    """The three streams of a device."""

    reading: Stream
    denoising: Stream
    decoding: Stream


@cache
def streams_of(device: torch.device) -> Streams:
    """Return the streams of a device, the same for every session.

    The allocator keeps memory separate by stream, so with shared streams a new portrait reuses the memory of the last
    one.
    """
    return Streams(Stream(device, first=True), Stream(device), Stream(device))


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor from the host to the device without waiting.

    The source is pinned memory, which stays valid until the copy is done.
    """
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def begin_fetch(tensor: Tensor) -> PendingTensor:
    """Start the transfer of a tensor to the host, in the current queue; the returned callable waits for it alone."""
    here = tensor.to("cpu", non_blocking=True)
    if tensor.device.type != "cuda":
        return lambda: here
    arrived = torch.cuda.Event(blocking=True)  # a waiting thread sleeps
    arrived.record()

    def wait() -> Tensor:
        arrived.synchronize()
        return here

    return wait
