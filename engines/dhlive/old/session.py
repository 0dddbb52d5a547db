"""The old network's session on one avatar."""

import numpy as np
import torch
from numpy.typing import NDArray

from engines.api import UNDRAWN, EngineSession, RoiFrame, SessionContext, VoiceBlock
from engines.dhlive.asset.film_crops import crop_to_roi, film_crop, on_roi
from engines.dhlive.asset.mouth_shapes import MouthShapes
from engines.dhlive.generation import Generation
from engines.dhlive.networks.audio import AudioNetwork
from engines.dhlive.networks.old import SIDE_PX, OldNetwork
from engines.dhlive.old.face import OldFace
from engines.dhlive.old.images import holed, mouth_laid, reference, rim
from engines.dhlive.voice.speech import Speech, SpeechTick
from shared.avatar.model import Avatar
from shared.media.array_types import FloatArray, ImageArray
from shared.runtime.arrays import StateArrays

NO_OPENING: FloatArray = np.zeros(6, np.float32)  # the old network's mouth is not limited


class OldSession(EngineSession):
    """Session whose state is the voice heard so far; frames do not depend on each other. Not thread-safe."""

    def __init__(
        self,
        avatar: Avatar,
        face: OldFace,
        network: OldNetwork,
        audio: AudioNetwork,
        shapes: MouthShapes,
        context: SessionContext,
    ) -> None:
        """Compute the reference features.

        network: on its device. shapes: the mouth image's shapes.
        """
        self._plate, self._plate_at = avatar.plate, context.plate_at or avatar.plate.index
        self._face, self._network, self._shapes = face, network, shapes
        self._device = next(network.parameters()).device
        self._speech = Speech(audio, Generation.OLD, NO_OPENING, context.rate)
        self._rim = rim()
        frames = [reference(self._crop(frame), face, frame) for frame in face.references()]
        with torch.inference_mode():
            self._known = network.person(self._planes(np.concatenate(frames, axis=2)))

    def hear(self, block: VoiceBlock) -> list[RoiFrame]:
        return [self._frame(tick) for tick in self._speech.hear(block)]

    def idle(self, pts: int) -> list[RoiFrame]:
        """Return the film with the network's mouth at rest."""
        return [self._frame(self._speech.at_rest(pts))]

    def flush(self) -> list[RoiFrame]:
        return [self._frame(tick) for tick in self._speech.flush()]

    def reset(self) -> None:
        self._speech.reset()

    def save(self) -> StateArrays:
        return self._speech.save()

    def restore(self, state: StateArrays) -> None:
        self._speech.restore(state)

    def _frame(self, tick: SpeechTick) -> RoiFrame:
        index = self._plate_at(tick.pts)
        if not self.draws:
            return RoiFrame(tick.pts, UNDRAWN, tick.waiting, index)
        crop = self._crop(index)
        mouth = mouth_laid(self._shapes.image(tick.coefficients), self._face, index)
        with torch.inference_mode():
            source, prompt = self._planes(holed(crop, self._face, index)), self._planes(mouth)
            drawn = self._network(source, prompt, self._known)[0].clamp(0, 1) * 255
            rgb = np.ascontiguousarray(drawn.to(torch.uint8).permute(1, 2, 0).cpu().numpy()[..., ::-1])
        to_roi = crop_to_roi(self._plate, index, self._face.rects[index], SIDE_PX)
        return RoiFrame(tick.pts, on_roi(rgb, self._rim, to_roi), tick.waiting, index)

    def _crop(self, index: int) -> ImageArray:
        """Return the crop, (256, 256, 3) uint8 BGR, as in the network's training."""
        rgb = film_crop(self._plate, index, self._face.rects[index], SIDE_PX)
        return np.ascontiguousarray(rgb[..., ::-1])

    def _planes(self, image: NDArray[np.uint8]) -> torch.Tensor:
        """Return an image as a (1, C, 256, 256) tensor 0..1 on the device."""
        tensor = torch.from_numpy(image).to(self._device)
        return tensor.permute(2, 0, 1)[None].float() / 255
