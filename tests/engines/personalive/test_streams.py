"""A call of PersonaLive never waits without need.

Results of a call that was begun are fetched later, from any thread. Nothing passes between host and device except by
`send` and `begin_fetch`.
"""

from collections.abc import Callable
from copy import deepcopy
from threading import Thread
from typing import Any

import pytest

from tests.support.engines.personalive_material import driver, networks, run, same, session, torch  # isort: skip

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from engines.api import RoiFrame
from engines.personalive import noise, transfer, window
from engines.personalive import session as session_module
from engines.personalive.networks.networks import PersonaLiveNetworks

DEVICE = "meta"  # has shapes and no values: code that asks for a value fails


@pytest.fixture(scope="module")
def nets() -> PersonaLiveNetworks:
    return networks()


class Crossings(TorchDispatchMode):
    """Records operations that transfer data between host and device.

    Operations that ask the device for a value fail by themselves.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        tensors = [each for each in tree_leaves((args, kwargs, out)) if isinstance(each, torch.Tensor)]
        places = {each.device.type for each in tensors}
        if len(places) > 1 or (func is torch.ops.aten.lift_fresh.default and DEVICE in places):
            self.found.append(str(func))
        return out


SYNCS: dict[str, Callable[[Any], Any]] = {
    "a value": lambda x: x.sum().item(),
    "a truth": lambda x: bool(x.max() > 1),
    "a list": lambda x: x.tolist(),
    "to the host": lambda x: x.cpu(),
    "to the device": lambda x: torch.ones(3).to(x.device),
    "a constant": lambda x: torch.tensor([1.0, 2.0], device=x.device),
    "an index": lambda x: x[[0, 2]],
    "a table on the host": lambda x: x + torch.ones(3),
    "what is not zero": lambda x: x.nonzero(),
}


@pytest.mark.parametrize("what", SYNCS)
def test_the_check_sees(what: str) -> None:
    x = torch.zeros(3, device=DEVICE)
    try:
        with Crossings() as crossings:
            SYNCS[what](x)
    except (RuntimeError, NotImplementedError):
        return
    assert crossings.found


def test_nothing_in_a_call_waits_for_the_device(nets: PersonaLiveNetworks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "SETTLED", 1)
    monkeypatch.setattr(window, "UNLIKE", -1.0)

    def send(tensor: Any, device: Any) -> Any:
        return torch.empty(tensor.shape, dtype=tensor.dtype, device=device)

    def begin_fetch(tensor: Any) -> Any:
        return lambda: torch.ones(tensor.shape, dtype=tensor.dtype)

    for module in (noise, session_module, transfer, window):
        for each in (send, begin_fetch):
            if hasattr(module, each.__name__):
                monkeypatch.setattr(module, each.__name__, each)
    shapes = deepcopy(nets)
    for network in shapes.all():
        network.to(DEVICE)
    one = session(shapes)
    assert run(one, list(driver(4))) == []  # what is made only once may wait
    with Crossings() as crossings:
        shown = [wait() for frame in driver(12, 4) if (wait := one.begin(frame)) is not None]
    assert crossings.found == []
    assert [len(frames) for frames in shown] == [0, 0, 4]
    assert len(one._window.keyframes) == window.KEYFRAMES, "what makes keyframes was looked at too"


def test_what_was_begun_is_fetched_later_in_another_thread(nets: PersonaLiveNetworks) -> None:
    frames, wanted, begun = list(driver(20)), session(nets), []
    one = session(nets)
    for i, frame in enumerate(frames):
        wait = one.begin(frame)
        assert (wait is not None) == (i % 4 == 3)
        begun += [wait] if wait is not None else []
    one.reset()
    fetched: list[RoiFrame] = []
    thread = Thread(target=lambda: fetched.extend(frame for wait in begun for frame in wait()))
    thread.start()
    thread.join()
    assert same(fetched, run(wanted, frames)) and len(fetched) == 8


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_on_a_gpu_nothing_is_waited_for_either(nets: PersonaLiveNetworks) -> None:
    there, frames = deepcopy(nets), list(driver(28))
    for network in there.all():
        network.to("cuda")
    one, plain = session(there), session(there)
    run(one, frames[:20])
    torch.cuda.set_sync_debug_mode("error")
    try:
        begun = [wait for frame in frames[20:] if (wait := one.begin(frame)) is not None]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert same([frame for wait in begun for frame in wait()], run(plain, frames)[8:])
