"""Velocity of a window, combined from one or more predictions with guidance by text and by speech.

v = none + audio_scale * (speech - none) + text_scale * (both - speech), where `none` has the negative prompt and no
speech, `speech` the negative prompt and the speech, `both` the prompt and the speech (classifier-free guidance, Ho and
Salimans 2022).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

NEGATIVE, PROMPT = 0, 1  # indices of texts


@dataclass(frozen=True, slots=True)
class Guidance:
    """Scales of classifier-free guidance.

    text, audio: scales; 1 means no guidance. original: make the original's predictions: always all three, or, without
        any guidance, a single one that is given three contexts of speech.
    """

    text: float
    audio: float
    original: bool = False

    @property
    def texts(self) -> tuple[int, ...]:
        """Index of the text of each prediction that is needed."""
        if self.text == self.audio == 1:
            return (PROMPT,)
        return (NEGATIVE, PROMPT) if self.audio == 1 and not self.original else (NEGATIVE, NEGATIVE, PROMPT)

    @property
    def heard(self) -> tuple[bool, ...]:
        """Whether each prediction uses the speech."""
        if self.original or len(self.texts) == 3:
            return (False, True, True)
        return (True,) * len(self.texts)

    def guided(self, predictions: Sequence[Tensor]) -> Tensor:
        """Combine (1, ...) predictions, in the order of `texts`, into one of the same precision."""
        if len(predictions) == 1:
            return predictions[0]
        if len(predictions) == 2:
            speech, both = predictions
            return speech + self.text * (both - speech)
        none, speech, both = predictions
        return none + self.audio * (speech - none) + self.text * (both - speech)


Rows = Literal["together", "apart"]


def predicted(
    guidance: Guidance, predict: Callable[[list[int], tuple[bool, ...]], Tensor], rows: Rows = "together"
) -> Tensor:
    """Return the guided velocity.

    predict: returns predictions, (b, ...), for the given samples, by number and by whether they use the speech. rows:
        "apart" needs a third of the memory, and the same time on a GPU that a single prediction keeps busy.
    """
    numbers = range(len(guidance.texts))
    if rows == "together" or len(numbers) == 1:
        return guidance.guided(list(torch.split(predict(list(numbers), guidance.heard), 1)))
    return guidance.guided([predict([number], (guidance.heard[number],)) for number in numbers])
