"""A job in a local store."""

from shared.jobs.manifest import Manifest, Plan
from shared.jobs.store import LocalStore

PLAN = Plan(driven="voice", rate="10", ticks=60, segment=20, chained=False)


def job(store: LocalStore, number: int = 0) -> str:
    """Write a job to disk, without sending a message for it; return its id."""
    manifest = Manifest(
        id=f"20260101-000000-{number:08x}", key="", created=f"2026-01-01T00:00:{number % 60:02}", priority="normal",
        avatar="a", avatar_files="avatars/a", engine="counter", driver="d.wav", driver_file="drivers/d.wav",
        driver_sha256="0" * 64, heard=True, out="", output={}, idle_after=0.5, plan=PLAN, versions={},
    )  # fmt: skip
    store.root.joinpath("jobs", manifest.id).mkdir(parents=True)
    store.root.joinpath("jobs", manifest.id, "job.json").write_text(manifest.model_dump_json(), encoding="utf-8")
    return manifest.id
