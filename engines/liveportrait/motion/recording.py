"""Recorded motion: extracted once from a driver's frames, then played on any avatar without the frames."""

from collections.abc import Iterable

from engines.api import Driving
from engines.liveportrait.motion.driver import MotionDriver, ReadMotion
from engines.liveportrait.motion.keypoints import KeypointMotion
from engines.liveportrait.motion.retarget_rules import Ratios
from engines.liveportrait.motion.template import LivePortraitTemplate
from shared.errors import StudioError


def record_keypoints(frames: Iterable[Driving], read: ReadMotion, fps: float) -> LivePortraitTemplate:
    """Return the motion of a driver's frames, unsmoothed.

    A frame without a face repeats the last motion, and frames before the first face are omitted. Raises StudioError if
    no frame shows a face.
    """
    driver = MotionDriver(0.0, read)
    motions: list[KeypointMotion] = []
    ratios: list[Ratios] = []
    for frame in frames:
        driver.follow(frame)
        if driver.motion is not None and driver.ratios is not None:
            motions.append(driver.motion)
            ratios.append(driver.ratios)
    if driver.anchor is None:
        raise StudioError("No face was found in the driver; record from one that shows a face.")
    return LivePortraitTemplate(motions, fps, ratios, driver.anchor)
