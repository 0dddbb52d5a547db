"""`python -m tests.parity.golden_vectors.dhlive CHECKOUT MINI1`: write golden vectors of DH_live's own code.

They are small, and from commit 3e5ce86.

The script needs kaldi-native-fbank, with which the original analyses sound. CHECKOUT is the original, MINI1 its
`talkingface/models/DINet_mini.py` as of commit 5415443. Every network has weights that follow from names and shapes
(`tests.parity.ruled`), so that a test needs neither of the two. Writes tests/engines/dhlive/golden.npz.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.tiny.dhlive import mask
from tests.parity.ruled import samples, state, uniform

OUT = Path(__file__).parents[2] / "engines" / "dhlive" / "golden.npz"
RATES = (8000, 16000)
INPUTS: dict[str, dict[str, tuple[int, ...]]] = {
    "mini2": {"source": (2, 3, 80, 112), "ref": (2, 12, 80, 112)},
    "pipeline": {"crop": (1, 4, 184, 184), "style": (1, 64)},
    "mini1": {"source": (1, 3, 72, 72), "ref": (1, 12, 72, 72)},
    "old": {"source": (1, 3, 256, 256), "prompt": (1, 3, 256, 256), "ref": (1, 30, 256, 256)},
    "audio": {"mel": (2, 20, 80)},
}


def inputs(name: str) -> dict[str, Tensor]:
    """Return a case's inputs: images within 0..1, sound in a filter bank's range, the pipeline's masks as ramps."""
    given = {key: torch.from_numpy(uniform(f"{name} {key}", shape)) for key, shape in INPUTS[name].items()}
    if name == "audio":
        return {"mel": given["mel"] * 8 - 4}
    given = {key: value if key == "style" else 0.5 + 0.5 * value for key, value in given.items()}
    return given | ({"control": _control()} if name == "pipeline" else {})


def sound(rate: int) -> NDArray[np.float32]:
    """Return a third of a second of a rising tone in noise, with digital silence in the middle: (n,) float32, -1..1."""
    time = np.arange(rate // 3) / rate
    tone = 0.3 * np.sin(2 * np.pi * (200 + 1500 * time) * time)
    loud = np.where((time > 0.15) & (time < 0.25), 0.0, 1.0)
    return np.asarray(loud * (tone + 0.05 * uniform("noise", time.shape)), np.float32)


def _filter_bank(rate: int) -> NDArray[np.float32]:
    """Return Kaldi's features of `sound` with the original's options, (n, 80)."""
    kaldi = import_module("kaldi_native_fbank")
    options = kaldi.FbankOptions()
    frame = options.frame_opts
    frame.dither, frame.frame_length_ms, frame.frame_shift_ms, frame.snip_edges = 0, 50, 20, False
    frame.samp_freq, options.mel_opts.num_bins = rate, 80
    bank = kaldi.OnlineFbank(options)
    bank.accept_waveform(rate, sound(rate).tolist())
    frames = [bank.get_frame(number) for number in range(bank.num_frames_ready)]
    return np.asarray(frames, np.float32)


def _control() -> Tensor:
    """Return a smooth warp around bands of the mouth's colours, (1, 4, 184, 184)."""
    image = torch.full((1, 4, 184, 184), 0.5)
    image[:, :2] += 0.02 * torch.from_numpy(uniform("warp", (1, 2, 184, 184)))
    for top, bottom, colour in ((78, 84, (1, 0, 0)), (84, 89, (0, 1, 0)), (89, 96, (0, 0, 0)), (96, 104, (0.5, 0, 0))):
        image[:, :3, top:bottom, 68:116] = torch.tensor(colour)[None, :, None, None]
    return image


def filled(network: nn.Module) -> nn.Module:
    """Load weights by rule into the network, and switch it to evaluation."""
    network.load_state_dict(state({name: tuple(value.shape) for name, value in network.state_dict().items()}))
    return network.eval()


def main() -> None:
    checkout, mini1 = (Path(given).absolute() for given in sys.argv[1:])
    sys.path.insert(0, str(checkout))
    models = "talkingface.models."
    mini2, old = import_module(f"{models}DINet_mini"), import_module(f"{models}DINet")
    spec = spec_from_file_location("mini1", mini1)
    assert spec is not None and spec.loader is not None
    first: Any = module_from_spec(spec)
    spec.loader.exec_module(first)
    cases: dict[str, Callable[[dict[str, Tensor]], dict[str, Tensor]]] = {
        "mini2": lambda given: _mini2(filled(mini2.DINet_mini(3, 12)), given),
        "pipeline": lambda given: _pipeline(mini2.DINet_mini_pipeline2(3, 12, cuda=False), given),
        "mini1": lambda given: {"image": filled(first.DINet_mini(3, 12, cuda=False))(given["ref"], given["source"])},
        "old": lambda given: {"image": filled(old.DINet_five_Ref(6, 30, cuda=False))(**_named(given))},
        "audio": lambda given: _audio(filled(import_module(f"{models}audio2bs_lstm").Audio2Feature()), given),
    }
    with torch.inference_mode():
        found = {name: case(inputs(name)) for name, case in cases.items()}
    held = {f"{name} {key}": samples(value) for name, values in found.items() for key, value in values.items()}
    held |= {f"filter bank {rate}": _filter_bank(rate) for rate in RATES}
    np.savez_compressed(OUT, allow_pickle=False, **held)
    print(f"{OUT}: {', '.join(f'{key} {value.mean():.3f} +- {value.std():.3f}' for key, value in held.items())}")


def _named(given: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{name}_img" if name != "prompt" else "source_prompt": value for name, value in given.items()}


def _mini2(network: Any, given: dict[str, Tensor]) -> dict[str, Tensor]:
    image = network(given["source"], given["ref"])
    return {"style": network.ref_in_feature, "image": image}


def _pipeline(pipeline: Any, given: dict[str, Tensor]) -> dict[str, Tensor]:
    filled(pipeline.infer_model)
    for name, shape in (("face", (184, 184, 16)), ("mouth", (112, 80, 8))):
        setattr(pipeline, f"{name}_fusion_tensor", torch.from_numpy(mask(*shape) / 255).float()[None, None])
    return {"crop": pipeline(given["crop"].clone(), given["control"], given["style"])[:, :3]}


def _audio(network: Any, given: dict[str, Tensor]) -> dict[str, Tensor]:
    silent = torch.zeros(2, len(given["mel"]), 192)
    values, hidden, cell = network(given["mel"], silent, silent.clone())
    return {"values": values, "hidden": hidden, "cell": cell}


if __name__ == "__main__":
    main()
