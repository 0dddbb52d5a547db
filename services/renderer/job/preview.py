"""Preview image of a job in progress: its newest frame at a small size."""

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from shared.jobs.manifest import folder
from shared.jobs.store import Store
from shared.media.colour import i420_to_rgb

PERIOD_FRAMES = 50  # frames from one preview to the next
WIDTH_PX = 480


class JobPreview:
    """Writes the preview image of a job."""

    def __init__(self, store: Store, job: str) -> None:
        self._store, self._name = store, f"{folder(job)}/preview.jpg"

    def show(self, number: int, frame: NDArray[np.uint8]) -> None:
        """Write a frame as the preview if it is a PERIOD_FRAMES-th one. number: the frame's, from 1. frame: I420."""
        if number % PERIOD_FRAMES == 1:
            self.show_rgb(i420_to_rgb(frame))

    def show_rgb(self, frame: NDArray[np.uint8]) -> None:
        """Write a frame, (H, W, 3) uint8 RGB, as a JPEG with a width of at most WIDTH_PX."""
        scale = min(1.0, WIDTH_PX / frame.shape[1])
        small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        self._store.write(self._name, bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(small), quality=80)))
