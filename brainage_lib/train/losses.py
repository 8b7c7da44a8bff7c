"""How far a synthesised map of blood volume is from the true one."""

from __future__ import annotations

from torch import Tensor, nn


def generator_loss(
    predicted: Tensor, cbv: Tensor, mask: Tensor, cap: float, similarity: float
) -> Tensor:
    """Loss of predicted maps, ml/100 ml.

    Parameters
    ----------
    predicted, cbv, mask : (n, 1, x, y, z) tensors
        CBV in ml/100 ml; the brain as 0 and 1.
    cap : float
        ml/100 ml; a voxel with more blood counts cap/CBV.
    similarity : float
        Weight of the structural similarity.

    Returns
    -------
    () tensor
        Mean over brain voxels of |predicted − cbv| · min(1, cap/cbv), plus
        ``similarity`` · (1 − SSIM) of the maps cut at ``cap``, times ``cap`` so that both
        parts have one unit.
    """
    weight = mask * (cap / cbv.clamp(min=cap))
    loss = (weight * (predicted - cbv).abs()).sum() / mask.sum().clamp(min=1)
    if similarity == 0:
        return loss
    first, second = ((volume * mask).clamp(0, cap) for volume in (predicted, cbv))
    index = structural_similarity(first, second, cap)
    inside = mask[..., 3:-3, 3:-3, 3:-3]
    unlike = ((1 - index) * inside).sum() / inside.sum().clamp(min=1)
    return loss + similarity * cap * unlike


def structural_similarity(first: Tensor, second: Tensor, value_range: float) -> Tensor:
    """SSIM in windows of 7×7×7 equal weights (Wang et al. 2004, with their constants).

    Parameters
    ----------
    first, second : (n, 1, x, y, z) tensors
    value_range : float
        Largest possible difference of two values.

    Returns
    -------
    (n, 1, x − 6, y − 6, z − 6) tensor, −1–1; each value belongs to the window's centre.
    """

    def mean(volume: Tensor) -> Tensor:
        for kernel in ((7, 1, 1), (1, 7, 1), (1, 1, 7)):
            volume = nn.functional.avg_pool3d(volume, kernel, stride=1)
        return volume

    low, high = (0.01 * value_range) ** 2, (0.03 * value_range) ** 2
    one, two = mean(first), mean(second)
    variance = mean(first * first) + mean(second * second) - one * one - two * two
    covariance = mean(first * second) - one * two
    return ((2 * one * two + low) * (2 * covariance + high)) / (
        (one * one + two * two + low) * (variance + high)
    )
