"""Files downloaded by hand are recognised by their content; a person's file and a pickle are read and never run."""

import pickle
import shutil
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")

from engines.dhlive import file_names as names  # noqa: E402
from engines.dhlive.asset.mouth_shapes import MouthShapes  # noqa: E402
from engines.dhlive.engine import DhliveEngine  # noqa: E402
from engines.dhlive.generation import Generation  # noqa: E402
from engines.dhlive.networks.audio import AudioNetwork  # noqa: E402
from shared.errors import StudioError  # noqa: E402
from shared.runtime.files import file_sha256  # noqa: E402
from shared.weights.add import AddedFiles, add_files  # noqa: E402
from shared.weights.manifest import EngineWeights, missing_weights_error  # noqa: E402
from tests.support.engines.dhlive_material import stand_ins  # noqa: E402
from tests.support.files.evil_pickle import Evil  # noqa: E402


@pytest.fixture
def weights() -> EngineWeights:
    """Return the manifest with the checksums of the stand-ins."""
    official, here = DhliveEngine().weights(), stand_ins()
    files = [
        replace(f, sha256=file_sha256(here[f.path]) if f.sha256 and f.path in here else f.sha256)
        for f in official.files
    ]
    return replace(official, files=tuple(files))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a folder laid out as the authors' source tree, with other files in it."""
    for name, where in stand_ins().items():
        if where.suffix not in (".pth", ".pkl"):
            to = (
                tmp_path
                / "DH"
                / "somewhere"
                / ("w" if name in names.TEETH else "")
                / Path(name).name.removeprefix("mini1_")
            )
            if name == names.WINDOWS[Generation.MINI1]:
                to = tmp_path / "DH" / "old" / to.name
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(where, to)
    (tmp_path / "DH" / "README.md").write_text("a checkout", encoding="utf-8")
    (tmp_path / "DH" / "somewhere" / "more").mkdir()
    other = tmp_path / "DH" / "somewhere" / "more" / "wrap_utils.py"
    other.write_text("raise SystemExit  # not theirs", encoding="utf-8")
    return tmp_path / "DH"


def added(weights: EngineWeights, folder: Path, *sources: Path) -> AddedFiles:
    return add_files(weights, folder, sources, DhliveEngine().recognise)


@pytest.mark.parametrize("kind", ("folder", "zip", "tar"))
def test_a_checkout_is_taken_by_checksum(kind: str, weights: EngineWeights, checkout: Path, tmp_path: Path) -> None:
    source = checkout
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for path in checkout.rglob("*.*"):
                archive.write(path, path.relative_to(checkout.parent))
        source = tmp_path / "a.zip"
    elif kind == "tar":
        with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tape:
            tape.add(checkout, "DH")
        source = tmp_path / "a.tar.gz"
    found = added(weights, tmp_path / "weights", source)
    trees = {file.path for file in weights.files if file.sha256} - {names.MOUTH_SHAPES}
    assert not found.refused and {each.path for each in found.added} == trees
    assert all((tmp_path / "weights" / name).read_bytes() == stand_ins()[name].read_bytes() for name in trees)


def test_checkpoints_are_recognised_under_any_name_and_what_is_missing_is_named(
    weights: EngineWeights, checkout: Path, tmp_path: Path
) -> None:
    wanted = (*names.MOUTHS.values(), names.AUDIO)
    sources = [Path(shutil.copy(stand_ins()[name], tmp_path / f"download-{n}.bin")) for n, name in enumerate(wanted)]
    folder = tmp_path / "weights"
    assert {each.path for each in added(weights, folder, *sources).added} == set(wanted)
    assert "face_wrap_entity.obj is missing" in missing_weights_error(weights, folder)
    assert "studio weights add dhlive" in missing_weights_error(weights, folder)
    added(weights, folder, checkout)
    assert missing_weights_error(weights, folder) == ""


def test_the_old_audio_network_is_known_by_the_name_it_was_saved_under(weights: EngineWeights, tmp_path: Path) -> None:
    torch.save(AudioNetwork().state_dict(), tmp_path / "audio.pkl")
    renamed = Path(shutil.move(tmp_path / "audio.pkl", tmp_path / "x.pkl"))
    assert [each.path for each in added(weights, tmp_path / "w", renamed).added] == [names.OLD_AUDIO]


def test_what_is_none_of_them_is_refused_in_one_sentence(weights: EngineWeights, tmp_path: Path) -> None:
    (tmp_path / "page.pth").write_text("<html>sign in</html>", encoding="utf-8")
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Evil()))
    torch.save({"a": torch.zeros(2)}, tmp_path / "other.pth")
    (tmp_path / "empty").mkdir()
    sources = [tmp_path / name for name in ("page.pth", "evil.pkl", "other.pth", "empty")]
    found = added(weights, tmp_path / "w", *sources)
    said = " ".join(found.refused)
    assert not found.added and len(found.refused) == 4 and not Path("run-by-a-template").exists()
    assert (
        "web page" in said
        and "refused" in said
        and "is not one of DH_live's files" in said
        and "contains none of" in said
    )


class PCA:
    """A model of plain attributes, as scikit-learn's are."""

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        self.n_components, self.mean_ = 7, rng.normal(120, 20, 1350)
        self.components_ = rng.normal(0, 0.05, (7, 1350))


def test_mouth_images_are_read_without_unpickling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = PCA()
    (tmp_path / "pca.pkl").write_bytes(pickle.dumps(model, protocol=4))

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("it was unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    found = MouthShapes.read(tmp_path / "pca.pkl").image(np.array([200, 0, -100, 0, 0, 50], np.float32))
    plain = (model.mean_ + 200 * model.components_[0] - 100 * model.components_[2] + 50 * model.components_[5]).reshape(
        15, 30, 3
    )
    wanted = ((plain + plain[:, ::-1]) / 2).clip(0, 255)
    assert np.abs(found - wanted).max() <= 1.0 and np.array_equal(found, found[:, ::-1])


@pytest.mark.parametrize("held", (Evil(), {"a": 1}, [1, 2]))
def test_another_pickle_is_refused(held: object, tmp_path: Path) -> None:
    (tmp_path / "pca.pkl").write_bytes(pickle.dumps(held))
    with pytest.raises(StudioError, match="holds no mouth images"):
        MouthShapes.read(tmp_path / "pca.pkl")
    assert not Path("run-by-a-template").exists()
