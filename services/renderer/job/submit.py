"""Submission of a job: the request is checked as far as possible, then the job is created by writing its manifest.

`python -m services.renderer.job.submit` reads a request as JSON on standard input and prints its manifest, or {"error",
"kind"}. The gateway uses this command, so that untrusted drivers are not opened in the process that shows the program.
"""

import hashlib
import importlib.metadata
import json
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from compositing.caption_font import drawable_text
from engines.api import Engine
from engines.registry import canonical_name, load
from services.renderer.job.plan import declared_units, planned, planned_clip
from shared.avatar.body_faces import FILE as BODY_FACES
from shared.avatar.model import load_avatar
from shared.avatar.plate_frames import CUT_OUT_INDEX, CUT_OUTS, FRAMES
from shared.config.settings import DEFAULT_ENGINE, Settings, load_settings
from shared.errors import NoSpaceError, StudioError
from shared.jobs.manifest import Manifest, Priority, folder, read_job_manifest
from shared.jobs.staff import Staff, staffed_engines
from shared.jobs.store import LocalStore, Store, open_store
from shared.media.encoder import choose_encoder
from shared.media.intake.signature import kept_suffix
from shared.media.output_spec import OutputSpec
from shared.runtime.files import check_output, file_sha256, path_text
from shared.scene import OptionValue
from shared.voices.webvtt import WEBVTT_SUFFIX, read_cues

MAX_KEY_CHARACTERS = 200
AVATAR_FILES = (
    "avatar.json",
    "face.npz",
    "portrait.png",
    "roi.png",
    "mask.png",
    "plate.npz",
    FRAMES,
    CUT_OUTS,
    CUT_OUT_INDEX,
)
PACKAGES = ("persona-studio", "numpy", "opencv-contrib-python-headless", "ai-edge-litert", "av", "torch", "diffusers")


class KeyUsedError(StudioError):
    """The key was already used for a different request."""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """Request for a job.

    avatar: the avatar's folder. driver_name: the sender's name of the driver file, "" for its name here. key: the same
    key with the same request is the same job; "" for none. captions: WebVTT of the driver's speech, None if unknown.
    out: path to copy the result to, in addition to the store; None for none. options: options of the engine by name;
    others have their defaults from the settings of this machine.
    """

    avatar: Path
    driver: Path
    engine: str = DEFAULT_ENGINE
    driver_name: str = ""
    priority: Priority = "normal"
    key: str = ""
    output: OutputSpec = field(default_factory=OutputSpec)
    out: Path | None = None
    captions: Path | None = None
    options: Mapping[str, OptionValue] = field(default_factory=dict)


def submit_to_store(store: Store, request: JobRequest, settings: Settings) -> Manifest:
    """Submit a job; it is on disk when this returns.

    Raises StudioError for a request that cannot be rendered, and KeyUsedError for a key of a different request.
    """
    if len(request.key) > MAX_KEY_CHARACTERS:
        raise StudioError(f"A job's key has at most {MAX_KEY_CHARACTERS} characters; use a shorter one.")
    request = replace(request, engine=canonical_name(request.engine, settings.engines))
    engine = load(request.engine, settings.engines)
    here = runs_here(engine, settings)
    options = engine.options(request.options)
    avatar = load_avatar(request.avatar)
    if request.out is not None:
        check_out(store, request)
    if request.output.burn_captions:
        check_captions(request)
    plan, heard, notes = planned(request.driver, engine, request.output.fps, settings.rate, settings.segment_seconds)
    clip = planned_clip(avatar, request.driver, plan, request.output, options)
    units = declared_units(engine, clip, request.output)
    encoder = choose_encoder(request.output.codec, request.output.encoder).name
    digest = file_sha256(request.driver)
    driver_file = f"drivers/{digest}{kept_suffix(request.driver)}"
    manifest = Manifest(
        id=_id(request.key),
        key=request.key,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        priority=request.priority,
        avatar=avatar.name,
        avatar_files=_avatar_files(request.avatar),
        engine=request.engine,
        look={} if options is None else options.model_dump(mode="json"),
        driver=request.driver_name or path_text(Path(request.driver.name)),
        driver_file=driver_file,
        driver_sha256=digest,
        captions_file=f"drivers/{file_sha256(request.captions)}{WEBVTT_SUFFIX}" if request.captions else "",
        heard=heard,
        notes=notes,
        out=path_text(request.out.absolute()) if request.out else "",
        output=replace(request.output, encoder=encoder).as_dict(),
        idle_after=settings.idle_after,
        plan=plan,
        units=units,
        versions=versions(),
    )
    if request.key and store.read(f"{folder(manifest.id)}/job.json") is not None:
        return _job_of_same_key(store, manifest)
    if here:
        engine.prepare(avatar)  # otherwise the worker prepares it
    content, place = manifest.model_dump_json(indent=2).encode(), folder(manifest.id)
    try:
        _store_inputs(store, request, manifest)
        if not store.create(f"{place}/job.json", content):
            return _job_of_same_key(store, manifest)
        kept = store.read(f"{place}/job.json") == content  # a full disk may accept a file without storing its content
    except NoSpaceError:
        kept = False
        if not store.list(place):
            store.remove(place)  # an empty folder would be listed as a job without job.json
    if not kept:
        raise NoSpaceError(f"The job could not be saved at {store.url}; free some space there and submit it again.")
    return manifest


def runs_here(engine: Engine, settings: Settings) -> bool:
    """Whether this machine can run the engine. Raises StudioError when neither it nor any running worker can."""
    try:
        engine.check()
    except StudioError:
        with Staff(settings) as staff:
            if engine.info.name not in staffed_engines(staff.read_all()):
                raise
        return False
    return True


def check_out(store: Store, request: JobRequest) -> None:
    """Raise StudioError if the result cannot be written to the request's `out`."""
    out = request.out
    assert out is not None
    request.output.check_path(out)
    if not isinstance(store, LocalStore):
        raise StudioError(
            "The jobs are kept on another machine, so the result stays there; leave out --out, or use --wait."
        )
    check_output(request.driver, out)


def check_captions(request: JobRequest) -> None:
    """Raise StudioError if there are no captions to draw, or no font on this machine to draw them with."""
    if request.captions is None:
        raise StudioError(
            "Captions can be burnt in only for a spoken text; give a text, or turn burnt-in captions off."
        )
    for cue in read_cues(request.captions.read_text(encoding="utf-8")):
        drawable_text(cue.text)


def versions() -> dict[str, str]:
    """Return the installed versions of the packages that affect a frame's pixels."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _id(key: str) -> str:
    if key:
        return f"k{hashlib.sha256(key.encode()).hexdigest()[:20]}"
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"


def _job_of_same_key(store: Store, manifest: Manifest) -> Manifest:
    """Return the existing job with the manifest's key. Raises KeyUsedError if its request differs."""
    there = read_job_manifest(store, manifest.id)
    differs = {"id": manifest.id, "created": there.created, "versions": there.versions}
    if there.model_dump() | differs != manifest.model_dump() | differs:
        raise KeyUsedError("This key was used for another job already; use a new one.")
    return there


def _avatar_files(avatar: Path) -> str:
    digest = hashlib.sha256()
    for name in AVATAR_FILES:
        if (avatar / name).is_file():  # some are optional, such as the portrait, and affect the result
            digest.update(file_sha256(avatar / name).encode())
    return f"avatars/{digest.hexdigest()[:32]}"


def _store_inputs(store: Store, request: JobRequest, manifest: Manifest) -> None:
    """Copy avatar, driver and captions into the store unless they are there; a job needs no other local files."""
    measured = sorted(path.name for path in request.avatar.glob(f"{request.engine}-*"))
    for name in (*measured, BODY_FACES, *AVATAR_FILES):
        source, there = request.avatar / name, set(store.list(manifest.avatar_files))
        if source.is_file() and name not in there:
            store.put(source, f"{manifest.avatar_files}/{name}")
    if Path(manifest.driver_file).name not in store.list("drivers"):
        store.put(request.driver, manifest.driver_file)
    if request.captions and Path(manifest.captions_file).name not in store.list("drivers"):
        store.put(request.captions, manifest.captions_file)


def request_of(asked: Mapping[str, Any]) -> JobRequest:
    """Build a request from its JSON object.

    Fields: avatar, driver, driver_name, engine, options, priority, key, output, and optionally captions.
    """
    return JobRequest(
        avatar=Path(asked["avatar"]),
        driver=Path(asked["driver"]),
        engine=asked["engine"],
        driver_name=asked["driver_name"],
        priority=asked["priority"],
        key=asked["key"],
        output=OutputSpec.from_dict(asked["output"]),
        options=asked["options"],
        captions=Path(asked["captions"]) if asked.get("captions") else None,
    )


def main() -> int:
    """Serve one request: read it from standard input and print the job, or the error; returns the exit code."""
    try:
        asked: dict[str, Any] = json.load(sys.stdin)
        settings = load_settings()
        made = submit_to_store(open_store(settings.jobs_url), request_of(asked), settings)
    except StudioError as error:
        print(json.dumps({"error": str(error), "kind": "key" if isinstance(error, KeyUsedError) else ""}))
        return 1
    print(made.model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
