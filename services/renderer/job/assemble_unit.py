"""The last unit of a job: segments and the driver's sound into one file, and the sidecar that says how it came about."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from services.renderer.encode.concat import assemble
from services.renderer.job.heartbeat import Heartbeat
from services.renderer.job.open_job import JobOpener, OpenJob
from services.renderer.job.units import file_sha256
from shared.errors import NoSpaceError, StudioError
from shared.jobs import claims
from shared.jobs.claims import Claim, Unit
from shared.jobs.manifest import Manifest, folder
from shared.jobs.store import Store
from shared.runtime.files import flush_to_disk

STATEMENT = "AI-generated: the face in this video is synthetic."


def assemble_result(store: Store, opener: JobOpener, opened: OpenJob, claim: Claim, heart: Heartbeat) -> dict[str, Any]:
    """Assemble the result, put it and its sidecar into the store and where it was asked for. Raises StudioError."""
    manifest = opened.manifest
    segments = [
        claims.completion_record(store, claim.job, Unit("render", index)) for index in range(manifest.plan.segments)
    ]
    parts = [_part(store, opened, index, facts) for index, facts in enumerate(segments)]
    name = f"{folder(claim.job)}/result{opened.output.suffix}"
    scratch = store.scratch(claim.file(opened.output.suffix))
    ticks = sum(int(facts["frames"]) for facts in segments)
    said = {"avatar": manifest.avatar, "engine": manifest.engine}
    try:
        assemble(parts, opened.driver if manifest.heard else None, scratch, opened.output, manifest.plan.fps, said)
        heart.report_progress(ticks, ticks)
        facts = _sidecar(manifest, opened, segments, ticks) | {
            "file": f"result{opened.output.suffix}",
            "bytes": scratch.stat().st_size,
            "sha256": file_sha256(scratch),
        }
        store.move_in(scratch, name)
    finally:
        scratch.unlink(missing_ok=True)
    content = json.dumps(facts, indent=2).encode()
    if manifest.out:
        deliver(store.fetch(name), content, Path(manifest.out))
    heart.report_progress(ticks, ticks)
    store.create(f"{folder(claim.job)}/result.json", content)
    return {"frames": ticks}


def delete_intermediate_files(store: Store, job: str) -> None:
    """Once the result is there nobody needs what it was made from."""
    store.remove(f"{folder(job)}/units")


def deliver(result: Path, sidecar: bytes, out: Path) -> None:
    """Copy a result and its sidecar to where they were asked for, each whole or not at all. Raises StudioError."""
    for path, source in ((out.with_name(out.name + ".json"), sidecar), (out, result)):
        part = path.with_name(f".{path.name}.part")
        try:
            if isinstance(source, bytes):
                part.write_bytes(source)
            else:
                shutil.copyfile(source, part)
            flush_to_disk(part)
            os.replace(part, path)
        except OSError as error:
            if error.errno == 28:
                raise NoSpaceError(f"There is no space left for {path}; free some and the job goes on.") from None
            raise StudioError(
                f"{path} cannot be written ({error.strerror}); make room for it there and retry."
            ) from None
        finally:
            part.unlink(missing_ok=True)


def _part(store: Store, opened: OpenJob, index: int, facts: dict[str, Any]) -> Path:
    unit = Unit("render", index)
    path = store.fetch(Claim(opened.manifest.id, unit, int(facts["claim"])).file(opened.output.suffix))
    if file_sha256(path) != facts["sha256"]:
        raise StudioError(f"Segment {index + 1} is damaged on the disk; submit the job again.")
    return path


def _sidecar(manifest: Manifest, opened: OpenJob, segments: list[dict[str, Any]], ticks: int) -> dict[str, Any]:
    """All it takes to make the same file again."""
    return {
        "statement": STATEMENT,
        "job": manifest.id,
        "created": manifest.created,
        "avatar": {"name": manifest.avatar, "rights": opened.avatar.rights, "files": manifest.avatar_files},
        "engine": manifest.engine,
        "look": manifest.look,
        "driver": {"name": manifest.driver, "sha256": manifest.driver_sha256, "moved_by": manifest.plan.driven},
        "output": manifest.output,
        "idle_after": manifest.idle_after,
        "rate": manifest.plan.rate,
        "ticks": ticks,
        "segment_ticks": manifest.plan.segment,
        "segments": [{"sha256": facts["sha256"], "attempt": facts["claim"]} for facts in segments],
        "versions": manifest.versions,
    }
