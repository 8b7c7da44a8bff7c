"""A small fully convolutional network that reads an age from one volume; not the paper's.

Stages of convolution, max-pooling, batch normalisation and ReLU, the mean over all places, one
linear layer: in the manner of the simple fully convolutional network of Peng et
al. 2021 (doi:10.1016/j.media.2020.101871), smaller, and with a number in place of its histogram.
Without dense layers over places it has a third of the numbers of a VGG8 at 4 mm, and what it
learns at one place it knows everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from brainage_lib.errors import WrongUsage

CHANNELS = (24, 48, 96, 128, 128)
DROPOUT = 0.3


class FCN(nn.Module):
    """Age in years from a volume.

    Parameters
    ----------
    shape : (3,) ints
        Voxels along x, y and z. Four poolings halve them, rounding down; every side must be at
        least 16.
    channels : int
        Volumes per scan that are read together.

    Attributes
    ----------
    mirrors : bool
        A prediction is the mean over the volume and its left-right mirror image.
    blocks : ModuleList of five Sequential
        Each begins with its convolution, and all but the last one pool it.

    Examples
    --------
    >>> model = FCN((48, 64, 48)).eval()
    >>> model(torch.zeros(2, 1, 48, 64, 48)).shape
    torch.Size([2])
    """

    mirrors = True

    def __init__(self, shape: Sequence[int], channels: int = 1):
        super().__init__()
        self.shape = tuple(int(side) for side in shape)
        self.channels = int(channels)
        halvings = 2 ** (len(CHANNELS) - 1)
        if len(self.shape) != 3 or min(self.shape) < halvings:
            raise WrongUsage(
                f"this network halves a volume {len(CHANNELS) - 1} times, so it needs three "
                f"sides of at least {halvings} voxels; got {self.shape}"
            )
        self.blocks = nn.ModuleList()
        before = self.channels
        for number, after in enumerate(CHANNELS, start=1):
            # A bias would be taken out again by the normalisation.
            layers: list[nn.Module] = [nn.Conv3d(before, after, 3, padding=1, bias=False)]
            if number < len(CHANNELS):
                # Before normalisation and ReLU, which then have an eighth of the voxels to go
                # over: a step takes two thirds of the time (measured at 4 mm).
                layers.append(nn.MaxPool3d(2))
            layers += [nn.BatchNorm3d(after), nn.ReLU()]
            self.blocks.append(nn.Sequential(*layers))
            before = after
        self.dropout = nn.Dropout(DROPOUT)
        self.last = nn.Linear(CHANNELS[-1], 1)
        self.register_buffer("age_mean", torch.zeros(()))
        self.register_buffer("age_sd", torch.ones(()))

    def start_at(self, age: float, sd: float = 1.0) -> FCN:
        """Set mean and spread of the ages, so that the last layer learns a standardised age.

        Parameters
        ----------
        age, sd : float
            Years; mean and standard deviation of the training scans.

        Returns
        -------
        FCN
            The same object.
        """
        self.age_mean.fill_(float(age))
        self.age_sd.fill_(float(sd))
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
                f"this network reads (n, {self.channels}, {', '.join(map(str, self.shape))}); "
                f"got {tuple(x.shape)}"
            )
        for block in self.blocks:
            x = block(x)
        return self.dropout(x.mean(dim=(2, 3, 4)))

    def ages(self, features: Tensor) -> Tensor:
        """Age in years, (n,), of features (n, 128)."""
        return self.last(features).squeeze(1) * self.age_sd + self.age_mean

    def forward(self, x: Tensor) -> Tensor:
        """Age in years, (n,), of volumes (n, channels, x, y, z)."""
        return self.ages(self.features(x))
