"""StableAvatar's networks and loop give the original's numbers, with weights that follow from their names.

The vectors are the original's own (`tests.parity.golden_vectors.stableavatar`). `python -m tests.parity stableavatar`
compares all of a recording.
"""

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")
pytest.importorskip("diffusers", reason="diffusers is not installed: `make setup-torch` brings it")
pytest.importorskip("transformers", reason="transformers is not installed: `make setup-torch` brings it")

from engines.stableavatar.loop import blend, guidance, schedule  # noqa: E402
from engines.stableavatar.networks import audio_adapter, layers, transformer  # noqa: E402
from tests.parity.golden_vectors.stableavatar import judged_golden, names  # noqa: E402
from tests.parity.stableavatar import CASES  # noqa: E402

torch.set_num_threads(1)  # such small networks gain nothing from more

WORSE = 10.0  # times the allowed difference: a mistake is larger than rounding


@pytest.mark.parametrize("name", list(names()))
def test_the_originals_numbers(name: str) -> None:
    level = judged_golden(name)
    assert level.agrees, str(level)


def _forward(change: Any) -> Any:
    """Return the transformer's `forward` with other arguments."""
    forward = transformer.Transformer.forward
    return lambda self, *given, **named: forward(self, *given, **named | change(named))


MISTAKES: dict[str, tuple[str, Any, str, Any]] = {
    "who hears is mixed up": (
        "transformer", transformer.Transformer, "forward", _forward(lambda named: {"heard": (True, False, True)}),
    ),
    "a short window is filled up further": (
        "short window", transformer.Transformer, "forward", _forward(lambda named: {"tokens": 45}),
    ),
    "frames hear each other's speech": (
        "transformer", transformer, "attend_by_group", lambda q, k, v, groups, kernel: kernel(q, k, v),
    ),
    "clip level is taken for frame level": (
        "clip level", transformer.Transformer, "forward", _forward(lambda named: {"clip_level": False}),
    ),
    "time in float32": (
        "transformer", transformer, "sinusoid", lambda times, channels: layers.sinusoid(times.half().float(), channels),
    ),
    "rows and columns change places": (
        "transformer", transformer, "positions", lambda shape, head,
        device: layers.positions((shape[0], shape[2], shape[1]), head, device),
    ),
    "norm by heads": (
        "transformer", layers.RmsNorm, "forward",
        lambda self, hidden: torch.nn.functional.rms_norm(hidden.unflatten(-1, (4, -1)), (hidden.shape[-1] // 4,), None,
            1e-6).flatten(-2) * self.weight,
    ),
    "groups of speech are narrower": ("audio adapter", audio_adapter, "WIDENED", 3),
    "another shift of the schedule": ("schedule", schedule, "SHIFT", 3.0),
    "the blend runs backwards": (
        "loop", blend, "blend_weights", lambda overlap, scheme: torch.linspace(1, 0, overlap),
    ),
    "the log blend is uniform": (
        "log loop", blend, "blend_weights", lambda overlap, scheme: torch.linspace(0, 1, overlap),
    ),
    "the first step is blended too": (
        "loop", blend, "joined", None,
    ),
    "latents are not rounded": ("loop", blend, "_kept", lambda latents, layout: latents),
    "scales are exchanged": (
        "loop", guidance.Guidance, "guided",
        lambda self, rows: rows[0] + self.text * (rows[1] - rows[0]) + self.audio * (rows[2] - rows[1]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_seen(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, where, what, wrong = MISTAKES[mistake]
    if what == "joined":
        inner = blend.joined
        monkeypatch.setattr(
            "tests.parity.stableavatar.joined",
            lambda layout, window, step, made, scheme: inner(layout, window, step + 1, made, scheme),
        )
    else:
        monkeypatch.setattr(where, what, wrong)
    level = judged_golden(name)
    assert level.worst[0] > WORSE, str(level)


def test_every_level_of_the_parity_has_golden_vectors() -> None:
    assert set(CASES) - {"lora"} < set(names())


def test_at_full_size_the_network_has_the_published_tensors() -> None:
    with torch.device("meta"):
        full = transformer.Transformer()
    state = full.state_dict()
    assert len(state) == 1143
    assert sum(tensor.numel() for tensor in state.values()) == 1_747_426_112
    audio = [name for name in state if "vocal" in name]
    assert len(audio) == 160 and sum(state[name].numel() for name in audio) == 1_747_426_112 - 1_564_428_608


def test_another_kernel_is_used_in_every_block_with_the_same_result() -> None:
    sizes = transformer.Sizes(
        dim=48, heads=4, layers=2, feed_forward=64, frequencies=32, text_width=32, clip_width=32, audio_width=32
    )
    network, calls = transformer.Transformer(sizes).eval(), list[tuple[int, ...]]()

    def kernel(queries: Any, keys: Any, values: Any) -> Any:
        calls.append(tuple(queries.shape))
        return torch.nn.functional.scaled_dot_product_attention(queries, keys, values)

    rng = torch.Generator().manual_seed(1)
    latents, condition = torch.randn(1, 16, 3, 4, 4, generator=rng), torch.randn(1, 20, 3, 4, 4, generator=rng)
    text, image = torch.randn(5, 32, generator=rng), torch.randn(1, 257, 32, generator=rng)
    features, time = torch.randn(1, 18, 32, generator=rng), torch.tensor([500.0])
    with torch.no_grad():
        seen = network.see([text], image)
        wanted = network(latents, condition, time, seen, features, heard=(True,), frames=9)
        network.attend_by(kernel)
        assert torch.allclose(network(latents, condition, time, seen, features, heard=(True,), frames=9), wanted)
    assert calls == [(1, 4, 12, 12), (1, 4, 12, 12), (1, 4, 12, 12), (3, 4, 4, 12)] * 2
