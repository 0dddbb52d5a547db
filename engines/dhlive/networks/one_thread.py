"""One thread for networks that gain nothing from more.

Torch's threads wait for each other after each layer, and busily: on a machine whose cores are taken a frame would cost
ten times its work. With one, a sum's order does not depend on the machine's cores either, so that two workers draw the
same bit for bit.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """A context manager: computation inside it takes one core of the CPU, whatever this thread uses otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
