"""The exported networks give PyTorch's numbers in onnxruntime."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")
pytest.importorskip("onnx", reason="onnx is not installed")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from engines.liveportrait.onnx_export import FILES, export  # noqa: E402
from tests.parity.ruled import uniform  # noqa: E402
from tests.support.engines.liveportrait_material import networks  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter warns about itself


def test_onnxruntime_gives_the_same(tmp_path: Path) -> None:
    nets = networks()
    assert [path.stem for path in export(nets, tmp_path)] == list(FILES)
    image = 0.5 + 0.5 * uniform("image", (1, 3, 256, 256))
    source, driving = 0.6 * uniform("source", (1, 21, 3)), 0.6 * uniform("driving", (1, 21, 3))
    with torch.inference_mode():
        volume = nets.appearance(torch.from_numpy(image))
        heads = nets.motion(torch.from_numpy(image))
        drawn = nets.decoder(nets.warping(volume, torch.from_numpy(source), torch.from_numpy(driving)).out)

    def run(name: str, **given: Any) -> list[NDArray[Any]]:
        session = runtime.InferenceSession(str(tmp_path / f"{name}.onnx"), providers=["CPUExecutionProvider"])
        return list(session.run(None, given))

    _close(run("appearance", image=image), [volume])
    _close(run("motion", image=image), list(heads.values()))
    _close(run("draw", volume=volume.numpy(), source=source, driving=driving), [drawn])


def _close(ours: list[NDArray[Any]], theirs: list[Any]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        assert np.abs(a - b.numpy()).max() <= 1e-4 * max(1.0, float(b.abs().max()))
