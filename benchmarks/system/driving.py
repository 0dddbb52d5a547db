"""Bytes a second from capture to the generator: the sample channel, with the driver's image and without.

`python -m benchmarks.system.driving [--json]`
"""

import json
import sys
import time
from typing import Any

from websockets.sync.client import connect

from harness.channel import Studio, sample_channel, wait_for
from harness.seeing import ENGINES, NAME
from shared.wire.message import encode_message

RUN_S = 6.0


def measure(seconds: float = RUN_S) -> dict[str, Any]:
    """Bytes and messages a second on the stream "driving".

    mesh: an engine that needs no image. mesh_watched: the same while a browser shows the driver beside the program.
    whole: an engine that needs the image. saved: the share of those bytes that `mesh` saves. switch_ms: from the
    choice of that engine to its first image.
    """
    figures: dict[str, Any] = {}
    with sample_channel(engines=ENGINES) as (run, _):
        figures["mesh"] = _sent(run, "none", seconds)
        with connect(f"{run.base.replace('http', 'ws')}/api/v1/channels/{run.channel}/preview", max_size=None) as page:
            page.send(json.dumps({"token": run.token}))
            figures["mesh_watched"] = _sent(run, "small", seconds)
        figures["switch_ms"] = _until_whole(run)
        figures["whole"] = _sent(run, "whole", seconds)
    figures["saved"] = round(1 - figures["mesh"]["bytes_per_second"] / figures["whole"]["bytes_per_second"], 4)
    return figures


def _until_whole(run: Studio) -> float:
    reader = run.read("driving")
    begin = time.monotonic()
    run.patch(engine=NAME)
    while not any(message.format == "rgb24" for message in reader.read()):
        reader.socket.poll(100)
    return round((time.monotonic() - begin) * 1000, 1)


def _sent(run: Studio, image: str, seconds: float) -> dict[str, float]:
    """Measure the stream once the scene asks for this size of the driver's image."""
    wait_for(lambda: run.state()["scene"]["driver_image"] == image, 20, f"image: {image}")
    run.collect_messages("driving", 1.0)  # discard what was sent before the change
    messages = [message for _, message in run.collect_messages("driving", seconds)]
    sizes = [len(part) for message in messages for part in encode_message(message)]
    return {
        "bytes_per_second": round(sum(sizes) / seconds),
        "messages_per_second": round(len(messages) / seconds, 1),
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=None if "--json" in sys.argv else 2))
