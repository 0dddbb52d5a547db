"""The audio network: from pairs of filter-bank frames to six coefficients, causal.

Attribute names are the checkpoint's keys.
"""

import torch
from torch import Tensor, nn

from engines.dhlive.networks.sizes import COEFFICIENTS

MEL_BANDS = 80
HIDDEN, LAYERS = 192, 2
SLOPE = 0.2

State = tuple[Tensor, Tensor]


class AudioNetwork(nn.Module):
    """Network from (B, 2 n, 80) log filter bank frames at 50 per second to (B, n, 6) at 25, and its new state."""

    def __init__(self) -> None:
        super().__init__()
        self.downsample = nn.Sequential(
            nn.Linear(2 * MEL_BANDS, MEL_BANDS),
            nn.BatchNorm1d(MEL_BANDS),
            nn.LeakyReLU(SLOPE),
            nn.Linear(MEL_BANDS, MEL_BANDS),
        )
        self.LSTM = nn.LSTM(MEL_BANDS, HIDDEN, LAYERS, batch_first=True)
        self.fc = nn.Sequential(
            nn.Linear(HIDDEN, 256), nn.BatchNorm1d(256), nn.LeakyReLU(SLOPE),
            nn.Linear(256, 256), nn.BatchNorm1d(256), nn.LeakyReLU(SLOPE), nn.Linear(256, COEFFICIENTS),
        )  # fmt: skip

    def forward(self, mel: Tensor, state: State) -> tuple[Tensor, State]:
        batch, frames, _ = mel.shape
        pairs = self.downsample(mel.reshape(batch * (frames // 2), 2 * MEL_BANDS))
        heard, state = self.LSTM(pairs.view(batch, frames // 2, MEL_BANDS), state)
        return self.fc(heard.reshape(-1, HIDDEN)).view(batch, frames // 2, COEFFICIENTS), state


def silent_state(batch: int = 1) -> State:
    """Return the state before any sound, two (2, B, 192) tensors."""
    return torch.zeros(LAYERS, batch, HIDDEN), torch.zeros(LAYERS, batch, HIDDEN)
