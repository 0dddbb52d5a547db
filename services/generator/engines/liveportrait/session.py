"""The engine opened on one avatar: motion in, ROI frames out."""

import cv2
import numpy as np
from numpy.typing import NDArray

from services.generator.engine import UNDRAWN, Driving, RoiFrame, VoiceBlock
from services.generator.engines.liveportrait import crop, rules
from services.generator.engines.liveportrait.driver import Driver
from services.generator.engines.liveportrait.idle import idle_points
from services.generator.engines.liveportrait.keypoints import Array, motions, rotation
from services.generator.engines.liveportrait.networks import Networks, on_device
from services.generator.engines.liveportrait.portrait import Portrait
from services.generator.engines.liveportrait.settings import LivePortraitSettings
from shared.avatar import Avatar

INTO_IDLE_US, OUT_OF_IDLE_US, NEW_ANCHOR_US = 400_000, 300_000, 300_000

State = dict[str, NDArray[np.generic]]


class LivePortraitSession:
    """Carries the driver's motion and what eases one motion into the next; its pictures carry nothing. Not thread-safe."""

    def __init__(self, avatar: Avatar, networks: Networks, settings: LivePortraitSettings) -> None:
        self.draws = True
        self._networks, self._nets = networks, networks.correctors()
        self._options, self._variance = settings.options(), settings.variance
        with on_device():
            self._portrait = Portrait(avatar, networks)
        yaw, pitch = avatar.rest
        self._rest = rotation([pitch], [-yaw], [0.0])[0]
        self._idle, self._fresh = False, True
        self._since, self._duration = 0, 0
        self.reset()

    def step(self, driving: Driving) -> list[RoiFrame]:
        """One frame. Without a face, a neutral or a picture the last motion is held."""
        switch = OUT_OF_IDLE_US if self._idle else 0
        self._idle = False
        square = self._driver.crop(driving)
        if square is not None and driving.picture is not None:
            cut = crop.cut(driving.picture, square.to_crop(crop.SIDE), crop.SIDE)
            small = np.asarray(cv2.resize(cut, (crop.INPUT, crop.INPUT)), np.uint8)
            with on_device():
                found = motions(self._networks.heads(self._networks.prepared(small)))[0]
            if self._driver.see(driving, found):
                switch = max(switch, NEW_ANCHOR_US)
            self._driven = self._follow()
        return self._frame(driving.pts, self._driven, switch)

    def hear(self, block: VoiceBlock) -> list[RoiFrame]:
        """Nothing: no voice drives it."""
        return []

    def idle(self, pts: int) -> list[RoiFrame]:
        """A frame of the host waiting."""
        switch = 0 if self._idle else INTO_IDLE_US
        self._idle = True
        source = self._portrait
        points = idle_points(pts, source.motion, source.openings, source.unit, self._nets)
        plain = rules.Options(stitching=self._options.stitching)
        points = rules.corrected(source.points, self._rested(points), plain, self._nets, None, None)
        return self._frame(pts, points, switch)

    def flush(self) -> list[RoiFrame]:
        """Nothing: no frame is held back."""
        return []

    def reset(self) -> None:
        """Forget the driver."""
        self._driver = Driver(self._variance)
        self._driven = self._corrected(self._rested(self._portrait.points), None)
        self._shown, self._offset = self._driven, np.zeros_like(self._driven)
        self._since, self._duration = 0, 0
        self._idle, self._fresh = False, True

    def save(self) -> State:
        """Everything, as plain arrays."""
        return self._driver.save() | {
            "driven": self._driven.copy(),
            "shown": self._shown.copy(),
            "offset": self._offset.copy(),
            "times": np.array([self._since, self._duration], np.int64),
            "flags": np.array([self._idle, self._fresh]),
        }

    def restore(self, state: State) -> None:
        """Go on where `save` left off."""
        self._driver = Driver.restored(self._variance, state)
        self._driven, self._shown, self._offset = (
            np.asarray(state[name], np.float32) for name in ("driven", "shown", "offset")
        )
        self._since, self._duration = (int(value) for value in state["times"])
        self._idle, self._fresh = (bool(value) for value in state["flags"])

    def _follow(self) -> Array:
        """The keypoints for the driver's motion now."""
        driver, anchor, source = self._driver.motion, self._driver.anchor, self._portrait.motion
        assert driver is not None and anchor is not None
        points = rules.onto_still(source, driver, anchor, self._options)
        if self._options.relative and self._options.expression_friendly:
            first = rules.onto_still(source, anchor, anchor, self._options)
            ratio = rules.size_ratio(self._portrait.points, first)
            points = rules.friendly(self._portrait.points, points, first, ratio)
        return self._corrected(self._rested(points), self._driver.ratios)

    def _rested(self, points: Array) -> Array:
        """Turned as the body's rest pose wants it, about the head's own middle."""
        middle = self._portrait.points.mean(axis=0)
        return np.asarray((points - middle) @ self._rest + middle, np.float32)

    def _corrected(self, points: Array, wanted: rules.Ratios | None) -> Array:
        own = self._portrait.openings
        return rules.corrected(self._portrait.points, points, self._options, self._nets, own, wanted)

    def _frame(self, pts: int, target: Array, switch: int) -> list[RoiFrame]:
        """Show the target; at a switch the difference to what was shown is kept and let fade."""
        if switch and not self._fresh:
            self._offset, self._since, self._duration = self._shown - target, pts, switch
        self._fresh = False
        left = 1.0 - (pts - self._since) / self._duration if self._duration else 0.0
        left = min(1.0, max(0.0, left))
        self._duration = self._duration if left else 0
        self._shown = target + self._offset * np.float32(left * left * (3.0 - 2.0 * left))
        if not self.draws:
            return [RoiFrame(pts, UNDRAWN)]
        with on_device():
            return [RoiFrame(pts, self._portrait.draw(self._shown[None])[0])]
