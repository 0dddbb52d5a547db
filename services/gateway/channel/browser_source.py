"""The `remote` stream to capture: camera and microphone of the operator's browser, and the voice of the speech queue.

Messages of the browser are checked before they are forwarded.
"""

from collections import Counter
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from shared.config.settings import Settings
from shared.media.jpeg_size import check_jpeg
from shared.runtime.clock import SOUND_RATE_HZ, now
from shared.wire.bus import Publisher, endpoint

FRAME, SOUND = 1, 2  # first byte of a message from the page
MAX_IMAGE_BYTES = 1 << 20
MAX_IMAGE_SIDE_PX = 4096
MAX_SOUND_BYTES = SOUND_RATE_HZ * 2  # a second of s16
JPEG_MAGIC = b"\xff\xd8\xff"


def _is_bearable(jpeg: bytes) -> bool:
    try:
        check_jpeg(jpeg, MAX_IMAGE_SIDE_PX)
    except ValueError:
        return False
    return True


class RemoteDriver:
    """Publishes the `remote` stream from the event loop, with a separate ZeroMQ context; sending never blocks.

    taken: whether a browser is the driver; a second one is refused. drops: rejected messages, by reason.
    """

    def __init__(self, settings: Settings) -> None:
        self.taken = False
        self.drops: Counter[str] = Counter()
        self._context: zmq.Context[Any] = zmq.Context()
        self._publisher = Publisher(self._context, endpoint(settings.run_dir, "remote"), "remote", settings.channel)

    def begin(self) -> None:
        """Mark the driver as taken and start a new epoch, so that state of the previous browser is discarded."""
        self.taken = True
        self._publisher.epoch = now()

    def pass_on(self, message: bytes) -> bool:
        """Check and publish one message of a page; returns False, and counts the drop, for a malformed one."""
        self._publisher.keep_endpoint()
        body = message[1:]
        kind = message[0] if message else 0
        if kind == FRAME and len(body) <= MAX_IMAGE_BYTES and body.startswith(JPEG_MAGIC) and _is_bearable(body):
            at = now()
            self._publisher.send(at, np.frombuffer(body, np.uint8), facts={"kind": "frame", "captured": at})
        elif kind == SOUND and 0 < len(body) <= MAX_SOUND_BYTES and len(body) % 2 == 0:
            self._publisher.send(
                now(), np.frombuffer(body, "<i2"), "s16", facts={"kind": "sound", "rate": SOUND_RATE_HZ}
            )
        else:
            self.drops["remote malformed"] += 1
            return False
        return True

    def speak(self, pts: int, samples: NDArray[np.int16]) -> None:
        """Publish voice of the speech queue: (n,) int16 mono at 48 kHz; `pts` is the time of the first sample."""
        self._publisher.keep_endpoint()
        self._publisher.send(pts, samples, "s16", facts={"kind": "sound", "rate": SOUND_RATE_HZ})

    def discard_voice(self) -> None:
        """Discard the voice that was published and has not been heard yet."""
        self._publisher.epoch = now()
        self._publisher.send(now(), facts={"kind": "end"})

    def close(self) -> None:
        """Close the publisher and its ZeroMQ context."""
        self._publisher.close()
        self._context.term()
