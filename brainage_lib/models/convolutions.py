"""The generator's convolutions, arranged so that a CPU is fast at them.

The parameters and the functions are those of torch's layers; only the way is another.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

GROUPS = 8  # of the group normalisations


def normalised(before: int, after: int) -> list[nn.Module]:
    """3×3×3 convolution, group normalisation, ReLU."""
    return [Convolution(before, after), NormReLU(after)]


class Convolution(nn.Conv3d):
    """3×3×3, padded with zeros; the first side must be even."""

    def __init__(self, before: int, after: int):
        super().__init__(before, after, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Patches (n, before, x, y, z) to (n, after, x, y, z)."""
        if _slow_alone(x):
            return self._in_halves(x)
        return super().forward(x)

    def _in_halves(self, x: Tensor) -> Tensor:
        """One patch as a batch of two: its halves along x, each with a voxel of the other."""
        half = x.shape[2] // 2
        x = F.pad(x, (0, 0, 0, 0, 1, 1))
        two = torch.cat([x[:, :, : half + 2], x[:, :, half:]])
        y = F.conv3d(two, self.weight, self.bias, padding=(0, 1, 1))
        return torch.cat([y[:1], y[1:]], dim=2)


class NormReLU(nn.GroupNorm):
    """Group normalisation in eight groups, then ReLU."""

    def __init__(self, channels: int):
        super().__init__(GROUPS, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Patches (n, channels, x, y, z), which keep their shape."""
        if x.device.type == "cpu" and torch.is_grad_enabled():
            return _NormReLU.apply(x, self.weight, self.bias, self.eps)
        return F.relu(super().forward(x), inplace=not torch.is_grad_enabled())


class _NormReLU(torch.autograd.Function):
    """Both with one backward pass, because torch's own for channels_last is three times slower."""

    @staticmethod
    def forward(ctx, x, weight, bias, eps):
        n, channels = x.shape[:2]
        y, mean, rstd = torch.native_group_norm(
            x, weight, bias, n, channels, x[0, 0].numel(), GROUPS, eps
        )
        y = y.relu_()
        ctx.save_for_backward(x, y, weight, mean, rstd)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, dy):
        x, y, weight, mean, rstd = ctx.saved_tensors
        n, channels = x.shape[:2]
        each = channels // GROUPS
        dy = dy.contiguous(memory_format=torch.channels_last_3d) * (y > 0)
        dy, flat = (t.movedim(1, -1).reshape(n, -1, channels) for t in (dy, x))
        mean, rstd = (t.repeat_interleave(each, dim=1) for t in (mean, rstd))
        d_bias = dy.sum(1)
        d_weight = ((dy * flat).sum(1) - mean * d_bias) * rstd

        def over_group(sums: Tensor) -> Tensor:
            means = (sums * weight).view(n, GROUPS, each).sum(2) / (each * flat.shape[1])
            return means.repeat_interleave(each, dim=1)

        # dx = rstd (w dy - mean(w dy) - x̂ mean(w dy x̂)), with x̂ = (x - mean) rstd
        slope = -rstd * rstd * over_group(d_weight)
        offset = -rstd * over_group(d_bias) - slope * mean
        dx = torch.addcmul(offset[:, None], flat, slope[:, None])
        dx = dx.addcmul_(dy, (rstd * weight)[:, None])
        return (
            dx.view(n, *x.shape[2:], channels).movedim(-1, 1),
            d_weight.sum(0),
            d_bias.sum(0),
            None,
        )


class Residual(nn.Module):
    """Two convolutions with normalisation and ReLU, and a 1×1×1 shortcut around them."""

    def __init__(self, before: int, after: int):
        super().__init__()
        self.body = nn.Sequential(*normalised(before, after), *normalised(after, after))
        self.shortcut = nn.Conv3d(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Patches (n, before, x, y, z) to (n, after, x, y, z)."""
        y = self.body(x)
        # Without gradients in place: a new volume costs more than the sum.
        return y + self.shortcut(x) if torch.is_grad_enabled() else y.add_(self.shortcut(x))


class Doubled(nn.Sequential):
    """Nearest-neighbour doubling of each side, 3×3×3 convolution, normalisation, ReLU.

    Not as a transposed convolution with summed weights, though that needs a third of the
    multiplications: oneDNN's weight gradient of small ones is wrong (torch 2.13).
    """

    def __init__(self, before: int, after: int):
        super().__init__(nn.Upsample(scale_factor=2, mode="nearest"), *normalised(before, after))


def _slow_alone(x: Tensor) -> bool:
    """Whether torch has slow code for it: small convolutions of a batch of one on the CPU.

    Those with fewer than 20,480 values, not counting the last side, do not reach oneDNN
    (``ConvParams::use_mkldnn`` in ATen): five times slower with 8 channels at 48³.
    """
    return x.device.type == "cpu" and len(x) == 1 and x[..., 0].numel() <= 20480
