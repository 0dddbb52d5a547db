"""What `--dry-run` prints: what a job would cost."""

from services.renderer.job.submit import JobCost

HOUR_S, MINUTE_S = 3600, 60


def cost_lines(cost: JobCost) -> list[str]:
    """One fact a line."""
    lines = [f"{cost.frames} frames, {cost.units} units"]
    if (estimate := cost.estimate) is None:
        return [*lines, "The engine does not say what it costs."]
    work = f"{estimate.work:,.1f} {estimate.unit}"
    if estimate.seconds is None:
        lines.append(f"time: {work}; not measured here yet, the first job does")
    else:
        lines.append(
            f"time: about {_duration(estimate.seconds)} on one device ({work} at {estimate.rate:.1f} a second, measured here)"
        )
    lines.append(f"memory of the device: about {estimate.memory / 1e9:.1f} GB")
    lines.append(f"disk until it is done: {estimate.disk / 1e9:.2f} GB")
    return lines


def _duration(seconds: float) -> str:
    if seconds < 2 * MINUTE_S:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE_S:.0f} min" if seconds < 2 * HOUR_S else f"{seconds / HOUR_S:.1f} h"
