"""Processes of the studio anywhere on this machine."""

from pathlib import Path

from harness.channel import command


def services_running(run_root: Path) -> list[int]:
    """Return the ids of processes on this machine that belong to studios below this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and any(
            w.startswith(("cli.", "engines.", "services.")) for w in command(int(entry.name))
        ):
            try:
                environment = (entry / "environ").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if f"STUDIO_RUN_ROOT={run_root}\0" in environment:
                found.append(int(entry.name))
    return found
