"""Weights: what is known of them, what is wrong with them, and the commands that pull and verify them."""

import io
import json
import shutil
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cli import app
from engines.catalog import weights_of_all
from engines.mesh.engine import INFO, MeshEngine
from shared.config.settings import load_settings
from shared.errors import StudioError
from shared.weights import pull
from shared.weights.manifest import (
    OFFICIAL,
    RECORD,
    ROOT,
    missing_weights_error,
    read_manifest,
    weight_files,
    weights_folder,
)
from shared.weights.probe import damage
from tests.support.running.hub import Hub, running_hub

WEIGHTS = {each.name: each for each in weights_of_all()}
LIVEPORTRAIT = WEIGHTS["liveportrait"].files


def zipped(content: bytes = b"weights") -> bytes:
    """Return bytes that look like a file of torch.save."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", content)
    return whole.getvalue()


def fill(folder: Path, name: str) -> None:
    """Write every file of an engine to its path."""
    for file in WEIGHTS[name].files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"{}" if path.suffix == ".json" else zipped(file.path.encode()))


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        for name in ("liveportrait", "personalive"):
            for file in WEIGHTS[name].files:
                hub.add(file.hub, file.file, b"{}" if file.file.endswith("json") else zipped(file.file.encode()))
        yield hub


@dataclass(frozen=True)
class Done:
    """Result of a command: exit code, standard output, and standard error on one line."""

    returncode: int
    stdout: str
    stderr: str


RunCommand = Callable[..., Done]


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunCommand:
    """Runs the command `studio weights` in this process; a terminal is simulated only where `answer` is given."""

    def run(*arguments: str, folder: Path, hub: Hub | None = None, answer: str | None = None) -> Done:
        monkeypatch.setenv("STUDIO_WEIGHTS", str(folder))
        monkeypatch.delenv("STUDIO_WEIGHTS_HUB", raising=False)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("HF_ENDPOINT", hub.url if hub else "https://192.0.2.1")
        monkeypatch.setattr(sys, "argv", ["studio", "weights", *arguments])
        typed = io.StringIO(answer)
        monkeypatch.setattr(typed, "isatty", lambda: answer is not None)
        monkeypatch.setattr(sys, "stdin", typed)
        code = 0
        try:
            app.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return Done(code, said.out, " ".join(said.err.split()))

    return run


def test_the_manifest_names_sources_and_licences_and_invents_nothing() -> None:
    assert WEIGHTS["mesh"].files == ()
    assert {path.stem for path in OFFICIAL.glob("*.toml")} == {name for name, engine in WEIGHTS.items() if engine.files}
    for engine in WEIGHTS.values():
        assert len({file.path for file in engine.files}) == len(engine.files), "each file once"
        for file in engine.files:
            assert file.licence and file.purpose and (file.hub or engine.by_hand), file.path
            assert not Path(file.path).is_absolute() and ".." not in Path(file.path).parts
            assert file.sha256 is None or len(file.sha256) == 64
    assert not any("insightface" in f.path + f.hub.lower() for engine in WEIGHTS.values() for f in engine.files)
    assert all(f.restricted for f in WEIGHTS["personalive"].files if f.hub == "huaichang/PersonaLive")
    packaged = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert "pretrained_weights" in packaged["packages"]["find"]["include"]
    assert packaged["package-data"]["pretrained_weights"] == ["*.toml"]


def test_the_folder_is_the_checkouts_own_or_the_one_that_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STUDIO_WEIGHTS", raising=False)
    assert weights_folder(load_settings()) == ROOT / "pretrained_weights"
    monkeypatch.setenv("STUDIO_WEIGHTS", str(tmp_path))
    assert weights_folder() == tmp_path


def test_an_existing_folder_in_the_authors_layout_is_used_where_it_lies(tmp_path: Path) -> None:
    fill(tmp_path, "liveportrait")
    assert missing_weights_error(WEIGHTS["liveportrait"], tmp_path) == ""
    assert weight_files(WEIGHTS["liveportrait"], tmp_path) == {f.path: tmp_path / f.path for f in LIVEPORTRAIT}
    assert not (tmp_path / RECORD).exists()
    # as the script of PersonaLive's authors leaves the files, in a folder inside the folder
    fill(tmp_path, "personalive")
    inner = tmp_path / "personalive" / "pretrained_weights" / "personalive"
    inner.mkdir(parents=True)
    for path in tmp_path.glob("personalive/*.pth"):
        path.rename(inner / path.name)
    assert weight_files(WEIGHTS["personalive"], tmp_path)["personalive/pose_guider.pth"] == inner / "pose_guider.pth"


def test_what_is_missing_or_damaged_is_named_with_the_command(tmp_path: Path) -> None:
    assert missing_weights_error(WEIGHTS["liveportrait"], tmp_path) == (
        f"LivePortrait's weights are not in {tmp_path}; `studio weights pull liveportrait` downloads them."
    )
    fill(tmp_path, "liveportrait")
    first, second = (tmp_path / file.path for file in LIVEPORTRAIT[:2])
    first.unlink()
    second.write_bytes(second.read_bytes()[:-30])
    with pytest.raises(StudioError) as told:
        weight_files(WEIGHTS["liveportrait"], tmp_path)
    said = str(told.value)
    assert f"{LIVEPORTRAIT[0].path} is missing, {LIVEPORTRAIT[1].path} is truncated;" in said
    assert said.endswith("`studio weights pull liveportrait` downloads them.")
    (tmp_path / RECORD).write_text("[", encoding="utf-8")
    assert "delete it to trust the files there" in missing_weights_error(WEIGHTS["liveportrait"], tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.pth", b"", "is empty"),
        ("a.pth", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "is a Git LFS pointer"),
        ("a.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        ("a.json", b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        ("a.pth", b"<!doctype html><p>Not found", "is text and not weights"),
        ("a.bin", b"Access denied", "is text and not weights"),
        ("a.pth", bytes(range(200, 256)) * 9, "is not a file written by torch"),
        ("a.pth", zipped()[:-40], "is truncated"),
        ("a.safetensors", b"\x10", "is truncated"),
        ("a.safetensors", (1 << 62).to_bytes(8, "little") + b"{}", "its header states an impossible size"),
        ("a.safetensors", (90 << 20).to_bytes(8, "little") + b"{}", "is truncated"),
        ("a.safetensors", (2).to_bytes(8, "little") + b"[[", "its header cannot be read"),
        ("a.safetensors", (60000).to_bytes(8, "little") + b"[" * 60000, "its header cannot be read"),
        (
            "a.safetensors",
            (56).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'.ljust(56),
            "is truncated",
        ),
        ("a.json", b"{", "is not JSON"),
    ],
)
def test_files_that_cannot_be_weights_are_told_by_their_ends(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert said in damage(path)


def test_an_archive_that_unpacks_to_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(50_000_000))
    assert "its content is compressed, or larger than the file" in damage(path)


def test_pull_shows_the_licence_fetches_and_remembers(studio: RunCommand, tmp_path: Path, hub: Hub) -> None:
    done = studio("pull", "liveportrait", "--json", folder=tmp_path, hub=hub)
    assert done.returncode == 0, done.stderr
    assert "KwaiVGI/LivePortrait: MIT" in done.stderr
    fetched = json.loads(done.stdout)["fetched"]
    assert [row["path"] for row in fetched] == [f.path for f in LIVEPORTRAIT] and all(r["first_seen"] for r in fetched)
    assert missing_weights_error(WEIGHTS["liveportrait"], tmp_path) == ""
    record = json.loads((tmp_path / RECORD).read_bytes())
    assert record[LIVEPORTRAIT[0].path]["commit"] == "c0ffee"
    hub.asked.clear()
    again = studio("pull", "liveportrait", folder=tmp_path, hub=hub)
    assert again.returncode == 0 and "nothing to download" in again.stdout and not hub.asked
    listed = json.loads(studio("list", "--json", folder=tmp_path, hub=hub).stdout)
    complete = {row["engine"]: row["complete"] for row in listed}
    assert complete["liveportrait"] and complete["mesh"] and not complete["personalive"]
    shown = json.loads(studio("path", "liveportrait", "--json", folder=tmp_path).stdout)
    assert shown["files"][LIVEPORTRAIT[0].path] == str(tmp_path / LIVEPORTRAIT[0].path)


def test_a_restricted_licence_is_accepted_or_nothing_is_fetched(studio: RunCommand, tmp_path: Path, hub: Hub) -> None:
    refused = studio("pull", "personalive", folder=tmp_path, hub=hub)
    assert refused.returncode == 1 and "academic research only" in refused.stderr
    assert "add --accept-licence" in refused.stderr and not hub.asked
    declined = studio("pull", "personalive", folder=tmp_path, hub=hub, answer="n\n")
    assert declined.returncode == 1 and "Accept?" in declined.stderr and not hub.asked
    taken = studio("pull", "personalive", folder=tmp_path, hub=hub, answer="y\n")
    assert taken.returncode == 0 and missing_weights_error(WEIGHTS["personalive"], tmp_path) == "", taken.stderr
    (tmp_path / "personalive" / "pose_guider.pth").unlink()
    taken = studio("pull", "personalive", "--accept-licence", folder=tmp_path, hub=hub)
    assert taken.returncode == 0, taken.stderr
    assert missing_weights_error(WEIGHTS["personalive"], tmp_path) == ""


def test_a_later_file_is_held_against_the_first(studio: RunCommand, tmp_path: Path, hub: Hub) -> None:
    assert studio("pull", "liveportrait", folder=tmp_path, hub=hub).returncode == 0
    file = LIVEPORTRAIT[2]
    path = tmp_path / file.path
    assert studio("verify", "liveportrait", folder=tmp_path).returncode == 0
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"warping", b"wrapping"[:7]))
    rows = studio("verify", "liveportrait", "--json", folder=tmp_path)
    states = {row["path"]: row["state"] for row in json.loads(rows.stdout)}
    assert rows.returncode == 1 and states.pop(file.path) == "changed" and set(states.values()) == {"ok"}
    path.unlink()
    hub.add(file.hub, file.file, zipped(b"another version"))
    other = studio("pull", "liveportrait", folder=tmp_path, hub=hub)
    assert other.returncode == 1 and "differs from the one pulled first" in other.stderr and not path.exists()


def test_verify_records_unknown_checksums(studio: RunCommand, tmp_path: Path) -> None:
    fill(tmp_path, "liveportrait")
    first = json.loads(studio("verify", "liveportrait", "--json", folder=tmp_path).stdout)
    assert {row["state"] for row in first} == {"recorded"}
    again = json.loads(studio("verify", "liveportrait", "--json", folder=tmp_path).stdout)
    assert {row["state"] for row in again} == {"ok"}
    assert {row["sha256"] for row in again} == {row["sha256"] for row in first}
    (tmp_path / LIVEPORTRAIT[0].path).unlink()
    assert studio("verify", "liveportrait", folder=tmp_path).returncode == 1
    (tmp_path / RECORD).write_text("{", encoding="utf-8")
    told = studio("verify", folder=tmp_path)
    assert told.returncode == 1 and "delete it to trust the files there" in told.stderr


def test_what_cannot_be_fetched_is_one_sentence(
    studio: RunCommand, tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert studio("pull", "nonsense", folder=tmp_path, hub=hub).stderr.startswith(
        "studio: There is no engine 'nonsense'"
    )
    monkeypatch.setattr(hub, "url", "http://example.org")
    plain = studio("pull", "liveportrait", folder=tmp_path, hub=hub)
    assert plain.returncode == 1 and "not an https address" in plain.stderr


BY_HAND = """
terms = "For no use at all."
by_hand = "the authors publish these on a drive only."

[[sources]]
licence = "none stated"
restricted = true
files = [{ path = "drive/net.pth", purpose = "all of it" }]
"""


class Driven(MeshEngine):
    """An engine of another package, which contains its manifest."""

    info = replace(INFO, name="drive", title="Drive")


def test_weights_that_only_people_can_fetch_are_named_with_their_place(
    studio: RunCommand, tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = tmp_path / "any-name.toml"
    manifest.write_text(BY_HAND, encoding="utf-8")
    monkeypatch.setattr(Driven, "weights_manifest", manifest)
    monkeypatch.setenv("STUDIO_ENGINES", json.dumps({"drive": f"{__name__}:Driven"}))
    told = studio("pull", "drive", folder=tmp_path, hub=hub)
    assert told.returncode == 1 and "on a drive only" in told.stderr and "Traceback" not in told.stderr
    listed = json.loads(studio("list", "--json", folder=tmp_path, hub=hub).stdout)
    assert [row["terms"] for row in listed if row["engine"] == "drive"] == ["For no use at all."]
    problem = Driven().probe()
    assert problem is not None and problem.command == "" and "on a drive only" in problem.reason


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BY_HAND.replace("purpose", "propose"), "there is no 'purpose'"),
        (BY_HAND.replace("drive/net.pth", "../net.pth"), "path ../net.pth is not below the weights folder"),
        (BY_HAND.replace("drive/net.pth", "/net.pth"), "path /net.pth is not below the weights folder"),
        ("sources = 3", "not iterable"),
        ("[", "at end of document"),
        (None, "No such file"),
    ],
)
def test_a_manifest_that_is_wrong_is_one_sentence(tmp_path: Path, text: str | None, why: str) -> None:
    manifest = tmp_path / "weights.toml"
    if text is not None:
        manifest.write_text(text, encoding="utf-8")
    with pytest.raises(StudioError) as refused:
        read_manifest(manifest, "drive", "Drive")
    told = str(refused.value)
    assert told.startswith(f"Drive's list of weights, {manifest}, cannot be read") and why in told


def test_a_page_in_place_of_weights_is_not_taken(studio: RunCommand, tmp_path: Path, hub: Hub) -> None:
    hub.hashes = False  # a mirror behind a login answers everything with a page
    file = LIVEPORTRAIT[0]
    hub.add(file.hub, file.file, b"<html>please log in</html>")
    told = studio("pull", "liveportrait", folder=tmp_path, hub=hub)
    assert told.returncode == 1 and "is text and not weights" in told.stderr
    assert not (tmp_path / file.path).exists()


def test_a_disk_without_room_is_reported_before_anything_is_fetched(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "SPARE_BYTES", shutil.disk_usage(tmp_path).total)  # more than can be free
    with pytest.raises(StudioError, match=r"download into .* needs .* GB free; free some space"):
        pull.pull_engine(WEIGHTS["liveportrait"], tmp_path, hub.url, lambda terms: True)
    assert not hub.gets()
