"""A whole volume from a generator of patches, without seams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn

from brainage_lib.errors import WrongUsage

SPREAD = 1 / 6
"""Standard deviation of a window's weights, in sides: at its border 1 % of its centre's is
left, so that a window neither begins nor ends with a step."""

Box = tuple[slice, slice, slice]


def synthesise(
    generator: nn.Module,
    volume: np.ndarray,
    patch: int | Sequence[int],
    overlap: int,
    batch: int = 2,
    progress: Callable[[Sequence[list[Box]]], Iterable[list[Box]]] | None = None,
) -> np.ndarray:
    """Run a generator over a volume in overlapping windows and blend them.

    The windows are laid over the brain's bounding box. Each counts by a Gaussian along each
    axis, so that the result passes smoothly from one to the next. Windows without brain are
    not computed.

    Parameters
    ----------
    generator : Module
        Maps ``(n, 1, *patch)`` to ``(n, 1, *patch)``, such as
        :class:`~brainage_lib.models.AICBVGenerator`; used in evaluation mode on the device
        where it lies, and left in the mode in which it came.
    volume : (x, y, z) array of float
        Normalised T1w, > 0 in the brain and 0 elsewhere; any sides.
    patch : int or (3,) ints
        Sides of a window in voxels; for AICBVGenerator multiples of 16. A side that is longer
        than the volume's is filled up with background.
    overlap : int
        Voxels that neighbouring windows share at least, 0 to the shortest side − 1. A third
        of the patch is a good choice.
    batch : int
        Windows computed at once.
    progress : callable, optional
        Gets the list of batches and yields them one by one, as ``tqdm`` does.

    Returns
    -------
    (x, y, z) array of float32
        In the generator's units, ml/100 ml; 0 outside the brain.

    Raises
    ------
    WrongUsage
        A volume that is not three-dimensional, or settings that are impossible.
    """
    sides = (patch,) * 3 if isinstance(patch, int) else tuple(patch)
    volume = np.asarray(volume, np.float32)
    if volume.ndim != 3:
        raise WrongUsage(f"a volume has three axes, got shape {volume.shape}")
    if len(sides) != 3 or not 0 <= overlap < min(sides) or batch < 1:
        raise WrongUsage(
            f"patch {patch} must have three sides, overlap {overlap} be at least 0 and shorter "
            f"than they are, batch {batch} at least 1"
        )
    if not (volume > 0).any():
        return np.zeros(volume.shape, np.float32)
    padding = [(0, max(0, side - n)) for side, n in zip(sides, volume.shape, strict=True)]
    padded = np.pad(volume, padding)
    box = _box(padded > 0, sides)
    inside = padded[box]
    weight = _weight(sides)
    # In float64, so that the order of the windows does not show in float32.
    total, weights = np.zeros(inside.shape), np.zeros(inside.shape)
    where = [w for w in windows(inside.shape, sides, overlap) if np.any(inside[w] > 0)]
    batches = [where[first : first + batch] for first in range(0, len(where), batch)]
    for these in batches if progress is None else progress(batches):
        for window, cbv in zip(these, _run(generator, [inside[w] for w in these]), strict=True):
            total[window] += weight * cbv
            weights[window] += weight
    result = np.zeros(padded.shape, np.float32)
    result[box] = np.divide(total, weights, out=np.zeros(inside.shape), where=inside > 0)
    return result[tuple(slice(n) for n in volume.shape)]


def _box(brain: np.ndarray, sides: Sequence[int]) -> Box:
    """Bounding box of the brain, widened about its middle where a window is longer."""
    spans = []
    for axis, side in enumerate(sides):
        others = tuple(other for other in range(3) if other != axis)
        found = np.flatnonzero(brain.any(axis=others))
        low, high = int(found[0]), int(found[-1]) + 1
        length = max(side, high - low)
        low = min(max(0, (low + high - length) // 2), brain.shape[axis] - length)
        spans.append(slice(low, low + length))
    return tuple(spans)


def windows(shape: Sequence[int], sides: Sequence[int], overlap: int) -> Iterator[Box]:
    """Windows that cover a box, as few as possible, evenly spread.

    Examples
    --------
    >>> [w[1] for w in windows((48, 64, 48), (48, 48, 48), 16)]
    [slice(0, 48, None), slice(16, 64, None)]
    """
    starts = []
    for length, side in zip(shape, sides, strict=True):
        count = 1 + -(-(length - side) // (side - overlap))
        starts.append(np.linspace(0, length - side, count).round().astype(int).tolist())
    for corner in product(*starts):
        yield tuple(slice(s, s + side) for s, side in zip(corner, sides, strict=True))


def _weight(sides: Sequence[int]) -> np.ndarray:
    x, y, z = (
        np.exp(-0.5 * ((np.arange(side) - (side - 1) / 2) / (SPREAD * side)) ** 2) for side in sides
    )
    return x[:, None, None] * y[:, None] * z


def _run(generator: nn.Module, patches: Sequence[np.ndarray]) -> np.ndarray:
    """Patches through the generator: (n, x, y, z)."""
    first: Tensor | None = next(generator.parameters(), None)
    x = torch.from_numpy(np.stack(patches)[:, None])
    training = generator.training
    generator.eval()
    try:
        with torch.inference_mode():
            return generator(x if first is None else x.to(first.device))[:, 0].cpu().numpy()
    finally:
        generator.train(training)
