"""The engine's session on one avatar: a voice in, frames of the filmed face out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engines.api import UNDRAWN, EngineSession, RoiFrame, SessionContext, VoiceBlock
from engines.dhlive.asset.film_crops import check_film, crop_to_roi, film_crop, on_roi
from engines.dhlive.asset.person import Person
from engines.dhlive.control.control_image import ControlPainter, ControlRules
from engines.dhlive.control.mesh import opening_of
from engines.dhlive.crop_painter import CropPainter
from engines.dhlive.mouth import Mouth, MouthPerson
from engines.dhlive.networks.one_thread import one_thread
from engines.dhlive.options import DhliveOptions
from engines.dhlive.voice.speech import Speech, SpeechTick
from engines.options import EngineOptions
from shared.avatar.model import Avatar
from shared.media.array_types import FloatArray, ImageArray
from shared.runtime.arrays import StateArrays


@dataclass(frozen=True, slots=True)
class MouthShot:
    """Inputs from which one frame is drawn.

    source: (S, S, 3) uint8 RGB film crop. control: (4, S, S) float32. index: the plate frame's index. tick: the frame's
        time and mouth.
    """

    source: ImageArray
    control: FloatArray
    index: int
    tick: SpeechTick


class DhliveSession(EngineSession):
    """Session whose state is the voice heard so far; frames do not depend on each other. Not thread-safe."""

    def __init__(
        self, avatar: Avatar, person: Person, mouth: Mouth, options: DhliveOptions, context: SessionContext
    ) -> None:
        check_film(person, avatar.plate, avatar.name)
        self._plate, self._plate_at = avatar.plate, context.plate_at or avatar.plate.index
        self._person, self._mouth = person, mouth
        self._geometry = person.generation.geometry
        self._known: MouthPerson = mouth.known(person.reference)
        self._speech = Speech(mouth.audio, person.generation, opening_of(mouth.files.offsets), context.rate)
        self._painter = CropPainter(self._geometry, mouth.files.edges, mouth.files.window)
        self._strength = 1.0
        self.apply(options)
        rest = SpeechTick(0, np.zeros(6, np.float32), False)
        draw([(self, self._shot(rest))])  # compiles and allocates here everything that is done on first use, not on air

    def hear(self, block: VoiceBlock) -> list[RoiFrame]:
        """Return the frames of a block of voice, drawn one by one, so that other frames never change their bits."""
        return [draw([(self, shot)])[0] for shot in self.shots(block)]

    def idle(self, pts: int) -> list[RoiFrame]:
        """Return the film with the network's mouth at rest, so that only the lips change when a voice begins."""
        return draw([(self, self._shot(self._speech.at_rest(pts)))])

    def flush(self) -> list[RoiFrame]:
        return [draw([(self, self._shot(tick))])[0] for tick in self._speech.flush()]

    def shots(self, block: VoiceBlock) -> list[MouthShot]:
        """Return the inputs of the frames that this block completes, for `draw`, which can combine several sessions."""
        return [self._shot(tick) for tick in self._speech.hear(block)]

    def reset(self) -> None:
        self._speech.reset()

    def save(self) -> StateArrays:
        return self._speech.save()

    def restore(self, state: StateArrays) -> None:
        self._speech.restore(state)

    def apply(self, options: EngineOptions) -> bool:
        """Apply options; all of them can be applied on air."""
        assert isinstance(options, DhliveOptions)
        rules = ControlRules(options.rules)
        self._strength = options.strength
        self._control = ControlPainter(self._person.mesh, self._mouth.files.offsets, self._geometry.crop, rules)
        return True

    def _shot(self, tick: SpeechTick) -> MouthShot:
        index = self._plate_at(tick.pts)
        if not self.draws:
            return MouthShot(UNDRAWN, np.zeros(0, np.float32), index, tick)
        frame = self._person.of_plate(index)
        source = film_crop(self._plate, index, self._person.rects[frame], self._geometry.crop)
        bent = np.asarray(tick.coefficients * np.float32(self._strength), np.float32)
        control = self._control.draw(bent, self._person.matrices[frame], self._person.landmarks[frame])
        return MouthShot(source, control, index, tick)

    def _finished(self, shot: MouthShot, painted: ImageArray | None) -> RoiFrame:
        """Return the ROI frame of a painted crop.

        painted: (S, S, 3) uint8 RGB; None if the frame is not drawn.
        """
        if painted is None:
            return RoiFrame(shot.tick.pts, UNDRAWN, shot.tick.waiting, shot.index)
        rect = self._person.rects[self._person.of_plate(shot.index)]
        to_roi = crop_to_roi(self._plate, shot.index, rect, self._geometry.crop)
        pixels = on_roi(painted, self._mouth.files.edges, to_roi)
        return RoiFrame(shot.tick.pts, pixels, shot.tick.waiting, shot.index)


def draw(shots: Sequence[tuple[DhliveSession, MouthShot]]) -> list[RoiFrame]:
    """Draw these shots, those of sessions with the same network in one call of it."""
    frames: dict[int, RoiFrame] = {}
    groups: dict[int, list[int]] = {}
    for number, (session, shot) in enumerate(shots):
        if shot.source.size:
            groups.setdefault(id(session._mouth), []).append(number)
        else:
            frames[number] = session._finished(shot, None)
    for numbers in groups.values():
        painted = _painted([shots[number] for number in numbers])
        for number, image in zip(numbers, painted, strict=True):
            session, shot = shots[number]
            frames[number] = session._finished(shot, image)
    return [frames[number] for number in range(len(shots))]


def _painted(shots: Sequence[tuple[DhliveSession, MouthShot]]) -> NDArray[np.uint8]:
    """Return the painted crops, (B, S, S, 3) uint8 RGB."""
    session = shots[0][0]
    mouth, device = session._mouth, session._mouth.device
    with torch.inference_mode(), one_thread():
        source = torch.from_numpy(np.stack([shot.source for _, shot in shots])).to(device)
        control = torch.from_numpy(np.stack([shot.control for _, shot in shots])).to(device)
        network = mouth.network([each._known for each, _ in shots])
        planes = (source.permute(0, 3, 1, 2).float() / 255).contiguous()
        painted = session._painter.to(device).paint(planes, control, network)
        image: NDArray[np.uint8] = (
            (painted.clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
        )
    return image
