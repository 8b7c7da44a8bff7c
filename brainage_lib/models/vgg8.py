"""VGG8, the paper's network that reads an age from one volume.

Five blocks of convolution, batch normalisation, ReLU and max-pooling, then three fully
connected layers; the channels and the widths are the paper's (§2.3). The paper is silent on
kernels and padding: 3×3×3 with padding 1 is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from brainage_lib.errors import WrongUsage

CHANNELS = (16, 32, 64, 128, 256)
WIDTHS = (512, 128)


class VGG8(nn.Module):
    """Age in years from a volume.

    Parameters
    ----------
    shape : (3,) ints
        Voxels along x, y and z. Each block halves them, rounding down, five times; every side
        must be at least 32.
    channels : int
        Volumes per scan that are read together: 1 in the paper.

    Attributes
    ----------
    mirrors : bool
        Whether a prediction is the mean over the volume and its left-right mirror image; the
        paper says nothing of it.
    blocks : ModuleList of five Sequential
        Each is convolution, normalisation, ReLU, pooling, in this order; Grad-CAM looks at
        ``blocks[4][0]``, the last convolution before its pooling.

    Examples
    --------
    >>> model = VGG8((48, 64, 48)).eval()
    >>> model(torch.zeros(2, 1, 48, 64, 48)).shape
    torch.Size([2])
    """

    mirrors = False

    def __init__(self, shape: Sequence[int], channels: int = 1):
        super().__init__()
        self.shape = tuple(int(side) for side in shape)
        self.channels = int(channels)
        halvings = 2 ** len(CHANNELS)
        if len(self.shape) != 3 or min(self.shape) < halvings:
            raise WrongUsage(
                f"VGG8 halves a volume {len(CHANNELS)} times, so it needs three sides of at "
                f"least {halvings} voxels; got {self.shape}"
            )
        self.blocks = nn.ModuleList()
        before = self.channels
        for after in CHANNELS:
            self.blocks.append(
                nn.Sequential(
                    nn.Conv3d(before, after, kernel_size=3, padding=1),
                    nn.BatchNorm3d(after),
                    nn.ReLU(),
                    nn.MaxPool3d(2),
                )
            )
            before = after
        cells = 1
        for side in self.shape:
            cells *= side // halvings
        self.hidden = nn.Sequential(
            nn.Flatten(),
            nn.Linear(CHANNELS[-1] * cells, WIDTHS[0]),
            nn.ReLU(),
            nn.Linear(WIDTHS[0], WIDTHS[1]),
            nn.ReLU(),
        )
        self.last = nn.Linear(WIDTHS[1], 1)

    def start_at(self, age: float, sd: float = 1.0) -> VGG8:
        """Set the last bias, so that training begins from a sensible guess.

        With Adam at 1e-4 a network that starts at 0 spends its first epochs on finding the
        mean age. The paper says nothing about it; starting at the mean age of the training
        scans is ours.

        Parameters
        ----------
        age : float
            Years; the mean of the training scans.
        sd : float
            Their spread, which this network does not use.

        Returns
        -------
        VGG8
            The same object.
        """
        with torch.no_grad():
            self.last.bias.fill_(float(age))
        return self

    def features(self, x: Tensor) -> Tensor:
        """Activations that the last layer reads.

        Parameters
        ----------
        x : (n, channels, x, y, z) tensor

        Returns
        -------
        (n, 128) tensor, >= 0.
        """
        if x.ndim != 5 or tuple(x.shape[1:]) != (self.channels, *self.shape):
            raise WrongUsage(
                f"this VGG8 reads (n, {self.channels}, {', '.join(map(str, self.shape))}); "
                f"got {tuple(x.shape)}"
            )
        for block in self.blocks:
            x = block(x)
        return self.hidden(x)

    def ages(self, features: Tensor) -> Tensor:
        """Age in years, (n,), of features (n, 128)."""
        return self.last(features).squeeze(1)

    def forward(self, x: Tensor) -> Tensor:
        """Age in years, (n,), of volumes (n, channels, x, y, z)."""
        return self.ages(self.features(x))
