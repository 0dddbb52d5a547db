"""Recorded motion: recorded once from a driver's frames, played on any avatar without them."""

from collections.abc import Iterable

from engines.api import Driving
from engines.liveportrait.motion.driver import MotionDriver, ReadMotion
from engines.liveportrait.motion.keypoints import KeypointMotion
from engines.liveportrait.motion.retarget_rules import Ratios
from engines.liveportrait.motion.template import LivePortraitTemplate
from shared.errors import StudioError


def record_keypoints(frames: Iterable[Driving], read: ReadMotion, fps: float) -> LivePortraitTemplate:
    """The motion of a driver's frames, unsmoothed.

    Without a face the last one is held, and what is before the first face is left out. Raises StudioError where there
    is none in any.
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
