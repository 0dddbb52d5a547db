"""The engine's session on one avatar: motion in, ROI frames out."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from engines.api import DEFAULT_CONTEXT, UNDRAWN, Driving, EngineSession, RoiFrame, SessionContext
from engines.body_source import body_source
from engines.fade import Fade
from engines.liveportrait.batch import FrameBatch
from engines.liveportrait.body_views import body_views, plate_openings
from engines.liveportrait.motion import retarget_rules
from engines.liveportrait.motion.closed_lips import closed_lips
from engines.liveportrait.motion.driver import MotionDriver
from engines.liveportrait.motion.idle import idle_points
from engines.liveportrait.motion.keypoints import KeypointMotion, row_rotations
from engines.liveportrait.motion.smoothing import CausalSmoother
from engines.liveportrait.motion.template import TemplateFrame
from engines.liveportrait.networks.networks import LivePortraitNetworks, on_device
from engines.liveportrait.options import LivePortraitOptions
from engines.liveportrait.portrait import PortraitRenderer
from engines.options import EngineOptions
from shared.avatar.model import Avatar
from shared.face.rest_pose import turn_to_rest
from shared.media.array_types import FloatArray
from shared.runtime.arrays import StateArrays

INTO_IDLE_US, OUT_OF_IDLE_US, NEW_ANCHOR_US, NEW_OPTIONS_US = 400_000, 300_000, 300_000, 300_000


class LivePortraitSession(EngineSession):
    """Session whose state is the driver's motion and the easing between motions; frames do not depend on each other.

    Not thread-safe.
    """

    def __init__(
        self,
        avatar: Avatar,
        networks: LivePortraitNetworks,
        options: LivePortraitOptions,
        context: SessionContext = DEFAULT_CONTEXT,
        batch: int = 1,
    ) -> None:
        """Open the engine on an avatar.

        batch: how many frames a render draws at a time.
        """
        self._networks, self._nets = networks, networks.correctors()
        self._source, self._options, self._variance = options.source, options.rules(), options.variance
        self._switch = 0  # duration of the fade to the next frame, microseconds
        self._body = body_source(avatar, options.source, context)
        rest = avatar.rest if self._body is None else (0.0, 0.0)  # the plate's own face needs no turn
        face = None if self._body is None else turn_to_rest(avatar.face, avatar.rest)
        with on_device():
            self._portrait = PortraitRenderer(avatar, networks, face)
        self._own: retarget_rules.Ratios | None = self._portrait.openings
        self._steady_opening: float | None = None
        if self._body is not None and (first := plate_openings(self._body.plate, 0)) is not None:
            self._steady_opening = retarget_rules.steady_opening(first)
        self._rest = row_rotations([rest[1]], [-rest[0]], [0.0])[0]
        self._batch = FrameBatch(self._portrait, batch, context.rate) if batch > 1 else None
        self._later = False  # whether frames are added to the batch
        self._idle = False
        self.reset()

    def step(self, driving: Driving) -> list[RoiFrame]:
        """Return one frame. Without a face, a neutral or an image the last motion is held."""
        if isinstance(driving.recorded, TemplateFrame):
            return self._play(driving.pts, driving.recorded)
        changed = self._driver.follow(driving)
        driver, anchor = self._driver.motion, self._driver.anchor
        self._look(driving.pts)
        if driver is None or anchor is None:
            return self._driven(driving.pts, self._at_rest(), 0)
        points = self._under(driver, anchor, self._driver.ratios)
        return self._driven(driving.pts, points, NEW_ANCHOR_US if changed else 0)

    def idle(self, pts: int) -> list[RoiFrame]:
        """Return a frame of the waiting host; none for a body's own face, which idles as filmed."""
        if self._body is not None:
            return []
        switch = 0 if self._idle else INTO_IDLE_US
        self._idle = True
        source = self._portrait
        points = idle_points(pts, source.motion, source.openings, source.unit, self._nets)
        own, plain = source.openings, replace(self._options, eyes=False, lips=False, multiplier=1.0)
        points = retarget_rules.corrected(source.points, self._rested(points), plain, self._nets, own, None)
        return self._frame(pts, points, switch)

    def together(self, frames: Iterable[RoiFrame | int]) -> Iterator[RoiFrame | int]:
        """Yield this session's frames, drawn several at a time.

        Integers among them keep their place.
        """
        if self._batch is None:
            yield from frames
            return
        self._later = True
        try:
            for frame in frames:
                yield from self._batch.ready()
                if isinstance(frame, int) or not self.draws:
                    yield from self._batch.drawn()
                    yield frame
            yield from self._batch.drawn()
        finally:
            self._later = False
            self._batch.clear()

    def apply(self, options: EngineOptions) -> bool:
        """Apply all options but another source, which needs another session; the face fades to them without a jump."""
        assert isinstance(options, LivePortraitOptions)
        if options.source != self._source:
            return False
        self._options, self._variance = options.rules(), options.variance
        self._driver.variance = self._steady.variance = options.variance
        self._switch = NEW_OPTIONS_US
        return True

    def reset(self) -> None:
        """Forget the driver."""
        self._driver = MotionDriver(self._variance, self._networks.read)
        self._steady = CausalSmoother(self._variance)
        self._looked = -1
        self._look(0)
        self._fade = Fade(self._at_rest())
        self._idle = False

    def save(self) -> StateArrays:
        """Return the whole state as plain arrays."""
        return (
            self._driver.save()
            | self._fade.save()
            | {
                "steady": np.zeros(0, np.float32) if self._steady.mean is None else self._steady.mean.copy(),
                "steady_spread": np.array(self._steady.spread),
                "idle": np.array(self._idle),
            }
        )

    def restore(self, state: StateArrays) -> None:
        """Continue from the state that `save` returned."""
        self._driver = MotionDriver.restored(self._variance, self._networks.read, state)
        self._steady = CausalSmoother(self._variance)
        if state["steady"].size:
            self._steady.mean = np.asarray(state["steady"], np.float32)
        self._steady.spread = float(state["steady_spread"])
        self._fade = Fade.restored(state)
        self._idle = bool(state["idle"])

    def _play(self, pts: int, frame: TemplateFrame) -> list[RoiFrame]:
        """Return one frame of a recorded motion."""
        self._look(pts)
        closed = closed_lips() if frame.alone else None
        return self._driven(pts, self._under(frame.motion, frame.anchor, frame.ratios, closed), 0)

    def _look(self, pts: int) -> None:
        """Use the plate frame at this time as the source, if the body is the source."""
        if self._body is None:
            return
        index = self._body.plate_at(pts)
        if index != self._looked:
            self._looked = index
            self._own = plate_openings(self._body.plate, index)
            with on_device():
                self._portrait.set_source(*body_views(self._body, index, self._portrait.to_crop))

    def _under(
        self,
        driver: KeypointMotion,
        anchor: KeypointMotion,
        ratios: retarget_rules.Ratios | None,
        closed: FloatArray | None = None,
    ) -> FloatArray:
        """Return the keypoints with a driver's motion.

        The original's scaling by the faces' sizes is omitted: at the anchor a relative motion equals the source itself,
        so the ratio is 1.
        """
        source, options = self._portrait.motion, self._options
        if self._body is not None:
            exp, turn = retarget_rules.onto_frame(source, driver, anchor, options, closed)
            exp, turn = np.split(self._steady.smooth(np.concatenate([exp.ravel(), turn.ravel()])), [exp.size])
            points = retarget_rules.onto_moving(source, driver, exp.reshape(-1, 3), turn.reshape(3, 3), options)
            return self._corrected(points, ratios)
        points = retarget_rules.onto_still(source, driver, anchor, options, closed)
        return self._corrected(self._rested(points), ratios)

    def _at_rest(self) -> FloatArray:
        """Return the keypoints at rest, without a driver."""
        return self._corrected(self._rested(self._portrait.points), None)

    def _rested(self, points: FloatArray) -> FloatArray:
        """Return the points turned to the body's rest pose, about the head's centre."""
        middle = self._portrait.points.mean(axis=0)
        return np.asarray((points - middle) @ self._rest + middle, np.float32)

    def _corrected(self, points: FloatArray, wanted: retarget_rules.Ratios | None) -> FloatArray:
        own, steady = self._own, self._steady_opening
        return retarget_rules.corrected(self._portrait.points, points, self._options, self._nets, own, wanted, steady)

    def _driven(self, pts: int, target: FloatArray, switch: int) -> list[RoiFrame]:
        """Return a frame with a driver's motion."""
        switch = max(switch, OUT_OF_IDLE_US if self._idle else 0)
        self._idle = False
        return self._frame(pts, target, switch)

    def _frame(self, pts: int, target: FloatArray, switch: int) -> list[RoiFrame]:
        """Return a frame that fades to the target in `switch` microseconds, 0 if the target continues the last one."""
        shown = self._fade.value_at(target, pts, max(switch, self._switch))
        self._switch = 0
        plate = None if self._body is None else self._looked
        if not self.draws:
            return [RoiFrame(pts, UNDRAWN, plate=plate)]
        with on_device():
            shot = self._portrait.shot(shown)
            if self._later and self._batch is not None:
                self._batch.hold(pts, shot, plate)
                return [RoiFrame(pts, UNDRAWN, plate=plate)]
            return [RoiFrame(pts, self._portrait.draw([shot])[0], plate=plate)]
