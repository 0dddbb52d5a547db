"""Queues that a session's work lies in.

On a GPU there are three, CUDA streams, which all sessions share:

reading: the driver's frames, from their upload to head pose, pose feature and motion tokens. The host has to know where
    a face lies before it can cut it out; since this queue is ahead of the others, it waits for no denoising.
denoising: the portrait, the window, the keyframes.
decoding: clean latents to frames and those to the host, while the next chunk is denoised.

A tensor belongs to the stream it is made on. One that another stream uses is handed over by `wait_for`, and what passes
between host and device does so by `send` and `begin_fetch` alone, so that nothing in a call waits but for what it
needs. On a CPU there are no queues: everything is done at once, in the order in which it is written.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

PendingTensor = Callable[[], Tensor]  # waits until a tensor has come to the host


class Stream:
    """One queue of a device's work."""

    def __init__(self, device: torch.device, *, first: bool = False) -> None:
        """first: its work goes before that of the others."""
        self._cuda = torch.cuda.Stream(device, priority=-1 if first else 0) if device.type == "cuda" else None

    def work(self) -> AbstractContextManager[object]:
        """A context manager: work inside it goes into this queue."""
        return nullcontext() if self._cuda is None else torch.cuda.stream(self._cuda)

    def wait_for(self, maker: "Stream", *tensors: Tensor) -> None:
        """Let this queue use these tensors, which `maker` makes, from here on.

        It waits until they are made, and their memory is not given away before it is done with them.
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
    """The streams of a device, the same for every session.

    The allocator keeps memory apart by stream, and a new portrait uses that of the last.
    """
    return Streams(Stream(device, first=True), Stream(device), Stream(device))


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on the device, without waiting.

    It is copied from memory that stays where it is until then.
    """
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def begin_fetch(tensor: Tensor) -> PendingTensor:
    """Begin to bring a tensor to the host, in the queue under way; what comes back waits for that alone."""
    here = tensor.to("cpu", non_blocking=True)
    if tensor.device.type != "cuda":
        return lambda: here
    arrived = torch.cuda.Event(blocking=True)  # a thread that waits for it sleeps
    arrived.record()

    def wait() -> Tensor:
        arrived.synchronize()
        return here

    return wait
