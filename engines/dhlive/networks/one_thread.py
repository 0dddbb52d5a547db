"""Single-threaded computation for networks that gain nothing from more threads.

PyTorch's threads wait for each other after each layer, with busy waiting: on a machine whose cores are occupied a frame
would take ten times as long. With one thread the order of a sum does not depend on the number of cores either, so two
workers draw bit for bit the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Context manager inside which PyTorch uses one CPU core, whatever the calling thread uses otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
