"""A job's last unit: assembles segments or a clip, and the driver's sound, to one file with a sidecar."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.renderer.encode.concat import assemble
from services.renderer.job.clip_unit import write_clip
from services.renderer.job.heartbeat import Heartbeat
from services.renderer.job.open_job import OpenClip, OpenJob
from shared.errors import NoSpaceError, StudioError
from shared.jobs import claims
from shared.jobs.claims import Claim
from shared.jobs.graph import ASSEMBLE, FOLLOW, kind_of
from shared.jobs.manifest import Manifest, folder
from shared.jobs.status import result
from shared.jobs.store import Store
from shared.media.intake.damage import Damage, damage_sentence
from shared.runtime.files import file_sha256, flush_to_disk, text_path
from shared.runtime.private_files import share
from shared.voices.webvtt import WEBVTT_SUFFIX, remove_captions

RESULT_CAPTIONS = f"result{WEBVTT_SUFFIX}"
STATEMENT = "AI-generated: the face in this video is synthetic."


@dataclass(frozen=True, slots=True)
class _FinishedSegment:
    """A finished segment: local file, number of frames, hash, and number of the claim that made it."""

    path: Path
    frames: int
    sha256: str
    claim: int


def assemble_result(store: Store, opened: OpenJob, claim: Claim, heart: Heartbeat) -> dict[str, Any]:
    """Assemble the result and write it and its sidecar to the store, and to the job's `out` if there is one.

    Returns the unit's facts. Raises StudioError.
    """
    manifest, suffix = opened.manifest, opened.output.suffix
    name = f"{folder(claim.job)}/result{suffix}"
    scratch, encoded = (store.scratch(claim.file(f"{part}{suffix}")) for part in ("", "-clip"))
    captions = store.read(manifest.captions_file) if manifest.captions_file else None
    said = {"avatar": manifest.avatar, "engine": manifest.engine}
    if attribution := opened.attribution:
        said["attribution"] = attribution
    try:
        if isinstance(opened, OpenClip):
            parts = [_clip_part(store, opened, claim, heart, encoded)]
        else:
            parts = [_part(store, opened, unit) for unit in manifest.graph.needs(ASSEMBLE)]
        paths, ticks = [part.path for part in parts], sum(part.frames for part in parts)
        driver, damage = opened.driver if manifest.heard else None, Damage()
        assemble(paths, driver, scratch, opened.output, manifest.plan.fps, said, damage)
        heart.report_progress(ticks, ticks)
        facts = _sidecar(manifest, opened, parts, ticks) | {
            "file": f"result{suffix}",
            "bytes": scratch.stat().st_size,
            "sha256": file_sha256(scratch),
            **({"captions": RESULT_CAPTIONS} if captions else {}),
            "notes": [*manifest.notes, *_damage_note(store, manifest, damage)],
        }
        store.move_in(scratch, name)
        if captions:
            store.write(f"{folder(claim.job)}/{RESULT_CAPTIONS}", captions)
    finally:
        scratch.unlink(missing_ok=True)
        encoded.unlink(missing_ok=True)
    content = json.dumps(facts, indent=2).encode()
    if manifest.out:
        deliver(store.fetch(name), content, text_path(manifest.out), captions)
    heart.report_progress(ticks, ticks)
    if not store.create(f"{folder(claim.job)}/result.json", content) and result(store, claim.job) is None:
        store.write(f"{folder(claim.job)}/result.json", content)  # replaces a damaged one
    return {"frames": ticks}


def _damage_note(store: Store, manifest: Manifest, damage: Damage) -> list[str]:
    """Return a note on the parts of the driver that could not be read, [] if there are none. damage: its sound's."""
    followed = [unit for unit in manifest.graph if kind_of(unit) == FOLLOW]
    lost = sum(claims.completion_record(store, manifest.id, unit).lost for unit in followed)
    note = damage_sentence(manifest.driver, lost, damage.sound_us, damage.gaps)
    return [note] if note else []


def delete_intermediate_files(store: Store, job: str) -> None:
    """Delete the files of a job's units, once its result exists."""
    store.remove(f"{folder(job)}/units")


def deliver(result: Path, sidecar: bytes, out: Path, captions: bytes | None = None) -> None:
    """Copy a result to `out` and its sidecar and captions beside it; each file appears complete or not at all.

    Captions of an earlier film at `out` are removed. Raises StudioError.
    """
    files: list[tuple[Path, bytes | Path]] = [(out.with_name(out.name + ".json"), sidecar), (out, result)]
    if captions is not None:
        files.insert(0, (out.with_suffix(WEBVTT_SUFFIX), captions))
    else:
        remove_captions(out.with_suffix(WEBVTT_SUFFIX))
    for path, source in files:
        part = path.with_name(f".{path.name}.part")
        try:
            if isinstance(source, bytes):
                part.write_bytes(source)
            else:
                shutil.copyfile(source, part)
            share(part)
            flush_to_disk(part)
            os.replace(part, path)
        except OSError as error:
            if error.errno == 28:
                raise NoSpaceError(f"There is no space left for {path}; free some and the job continues.") from None
            raise StudioError(
                f"{path} cannot be written ({error.strerror}); free some space there and retry."
            ) from None
        finally:
            part.unlink(missing_ok=True)


def _part(store: Store, opened: OpenJob, unit: str) -> _FinishedSegment:
    job = opened.manifest.id
    facts = claims.completion_record(store, job, unit)
    path = store.fetch(Claim(job, unit, facts.claim).file(opened.output.suffix))
    if file_sha256(path) != facts.sha256:
        number = opened.manifest.graph.shown.index(unit) + 1
        raise StudioError(f"Segment {number} is damaged on the disk; submit the job again.")
    return _FinishedSegment(path, facts.frames, facts.sha256, facts.claim)


def _clip_part(store: Store, opened: OpenClip, claim: Claim, heart: Heartbeat, path: Path) -> _FinishedSegment:
    frames = write_clip(store, opened, claim, heart, path)
    return _FinishedSegment(path, frames, file_sha256(path), claim.number)


def _sidecar(manifest: Manifest, opened: OpenJob, parts: list[_FinishedSegment], ticks: int) -> dict[str, Any]:
    """Return the contents of the sidecar: everything that is needed to render the same file again."""
    return {
        "statement": STATEMENT,
        "job": manifest.id,
        "created": manifest.created,
        "avatar": {"name": manifest.avatar, "rights": opened.avatar.rights, "files": manifest.avatar_files},
        "engine": manifest.engine,
        **({"attribution": opened.attribution} if opened.attribution else {}),
        "look": manifest.look,
        "driver": {"name": manifest.driver, "sha256": manifest.driver_sha256, "moved_by": manifest.plan.driven},
        "output": manifest.output,
        "idle_after": manifest.idle_after,
        "rate": manifest.plan.rate,
        "ticks": ticks,
        "segment_ticks": manifest.plan.segment,
        "segments": [{"sha256": part.sha256, "attempt": part.claim} for part in parts],
        "versions": manifest.versions,
    }
