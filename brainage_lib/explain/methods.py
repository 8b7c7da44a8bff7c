"""The methods that make maps: Grad-CAM, integrated gradients, SmoothGrad, occlusion.

All answer for the predicted age, in the voxels of the scan, with a sign: above zero, what makes
this scan look older. They differ in what they ask, how finely they can see, and what they cost.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from brainage_lib.errors import WrongUsage
from brainage_lib.explain.gradcam import LAST_BLOCK, batches, frozen, grad_cam, resolution

IG_STEPS = 8
SMOOTH_SAMPLES, SMOOTH_NOISE = 8, 0.1
WINDOW_MM = 32
EMPTY = 0.02
"""A cube that would change by less, as a share of the one that changes most, is left alone."""

Mapper = Callable[[nn.Module, Sequence[np.ndarray]], np.ndarray]


class Method(NamedTuple):
    """One way to make maps.

    Attributes
    ----------
    name : str
        As a profile names it.
    words : str
        As a page names it.
    slow : bool
        Many passes through the network a scan: made for a sample only.
    """

    name: str
    words: str
    slow: bool


METHODS = {
    method.name: method
    for method in (
        Method("grad-cam", "Grad-CAM", False),
        Method("signed-grad-cam", "signed Grad-CAM", False),
        Method("integrated-gradients", "integrated gradients", True),
        Method("smoothgrad", "SmoothGrad", True),
        Method("occlusion", "occlusion", True),
    )
}


def make_mapper(
    method: str,
    *,
    grid_mm: float,
    block: int = LAST_BLOCK,
    baseline: np.ndarray | None = None,
    seed: int = 0,
) -> Mapper:
    """Choose a method, with what it needs to know.

    Parameters
    ----------
    method : str
        One of `METHODS`.
    grid_mm : float
        Side of a voxel; occlusion's window is 32 mm.
    block : int
        Convolution block of Grad-CAM.
    baseline : array of a scan's shape, optional
        What integrated gradients and occlusion compare with: an average scan. Zero unless
        given.
    seed : int
        Of SmoothGrad's noise.

    Returns
    -------
    callable
        ``mapper(model, volumes)`` gives (n, x, y, z) of float32.

    Raises
    ------
    WrongUsage
        There is no such method.
    """
    if method in ("grad-cam", "signed-grad-cam"):
        signed = method == "signed-grad-cam"
        return lambda model, volumes: grad_cam(model, volumes, block, signed=signed)
    if method == "integrated-gradients":
        return lambda model, volumes: integrated_gradients(model, volumes, baseline)
    if method == "smoothgrad":
        return lambda model, volumes: smooth_grad(model, volumes, seed=seed)
    if method == "occlusion":
        window = window_voxels(grid_mm)
        return lambda model, volumes: occlusion(model, volumes, window, baseline)
    raise WrongUsage(f"there is no method {method!r}; there are: {', '.join(METHODS)}")


def method_resolution(
    method: str, shape: Sequence[int], grid_mm: float, block: int = LAST_BLOCK
) -> str:
    """Say how finely a method's map can see, for the figure.

    Examples
    --------
    >>> method_resolution("occlusion", (48, 64, 48), 4)
    'windows of 32 mm'
    >>> method_resolution("smoothgrad", (48, 64, 48), 4)
    'voxels of 4 mm'
    """
    if method in ("grad-cam", "signed-grad-cam"):
        return resolution(shape, grid_mm, block)
    if method == "occlusion":
        return f"windows of {window_voxels(grid_mm) * grid_mm:g} mm"
    return f"voxels of {grid_mm:g} mm"


def window_voxels(grid_mm: float) -> int:
    """Side of occlusion's window, in voxels; two at least."""
    return max(2, round(WINDOW_MM / grid_mm))


def integrated_gradients(
    model: nn.Module,
    volumes: Sequence[np.ndarray],
    baseline: np.ndarray | None = None,
    steps: int = IG_STEPS,
    batch: int = 4,
) -> np.ndarray:
    """Integrated gradients (Sundararajan et al. 2017) of the predicted age.

    The change from the baseline, voxel by voxel, times the mean gradient on the straight way
    between the two (Gauss–Legendre). A map's sum is the change of the predicted age.

    Parameters
    ----------
    model : Module
    volumes : sequence of (x, y, z) or (channels, x, y, z) arrays
    baseline : array of a volume's shape, optional
        Zero unless given. Where a scan is as dark as an empty image, as in the ventricles,
        a baseline of zero can show nothing: an average scan is the better one.
    steps : int
        Places on the way.
    batch : int
        Volumes at once.

    Returns
    -------
    (n, x, y, z) array of float32, in years; summed over channels.
    """
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    maps, model = [], swift(model)
    with frozen(model):
        for inputs in batches(model, volumes, batch):
            start = _like(baseline, inputs)
            change = inputs - start
            total = torch.zeros_like(inputs)
            for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
                total += float(weight) * _gradient(model, start + float(node) * change)
            maps.append((total * change).sum(dim=1).cpu().numpy())
    return _together(maps)


def smooth_grad(
    model: nn.Module,
    volumes: Sequence[np.ndarray],
    noise: float = SMOOTH_NOISE,
    samples: int = SMOOTH_SAMPLES,
    seed: int = 0,
    batch: int = 4,
) -> np.ndarray:
    """SmoothGrad (Smilkov et al. 2017): mean gradient of the predicted age over noisy copies.

    Parameters
    ----------
    model : Module
    volumes : sequence of (x, y, z) or (channels, x, y, z) arrays
    noise : float
        Standard deviation of the noise, as a share of the scan's range.
    samples : int
        Copies of each scan.
    seed : int
        A scan's noise does not depend on its neighbours.
    batch : int
        Volumes at once.

    Returns
    -------
    (n, x, y, z) array of float32, in years per unit of intensity; summed over channels.
    """
    maps, model = [], swift(model)
    with frozen(model):
        for inputs in batches(model, volumes, batch):
            spread = noise * (inputs.amax(dim=(1, 2, 3, 4)) - inputs.amin(dim=(1, 2, 3, 4)))
            total = torch.zeros_like(inputs)
            for sample in range(samples):
                draw = np.random.default_rng([seed, sample]).standard_normal(
                    inputs.shape[1:], dtype=np.float32
                )
                shift = torch.from_numpy(draw).to(inputs.device)
                total += _gradient(model, inputs + spread[:, None, None, None, None] * shift)
            maps.append((total / samples).sum(dim=1).cpu().numpy())
    return _together(maps)


def occlusion(
    model: nn.Module,
    volumes: Sequence[np.ndarray],
    window: int,
    baseline: np.ndarray | None = None,
    batch: int = 8,
) -> np.ndarray:
    """Occlusion (Zeiler & Fergus 2014): how the predicted age changes without a part.

    The volume is cut into cubes; each is replaced by the baseline, one after the other. Cubes
    in which next to nothing changes by that are not looked at.

    Parameters
    ----------
    model : Module
    volumes : sequence of (x, y, z) or (channels, x, y, z) arrays
    window : int
        Side of a cube in voxels.
    baseline : array of a volume's shape, optional
        Zero unless given.
    batch : int
        Cubes at once.

    Returns
    -------
    (n, x, y, z) array of float32, in years: age with the cube minus age without it.
    """
    if window < 1:
        raise WrongUsage(f"a window of {window} voxels is not possible; give 1 or more")
    maps, model = [], swift(model)
    with frozen(model), torch.no_grad():
        for inputs in batches(model, volumes, 1):
            start = _like(baseline, inputs)
            found = np.zeros(tuple(inputs.shape[2:]), np.float32)
            whole = float(model(inputs))
            change = (inputs - start)[0].abs().sum(dim=0)
            sizes = [(cube, float(change[cube].sum())) for cube in _cubes(found.shape, window)]
            least = EMPTY * max(size for _, size in sizes)
            cubes = [cube for cube, size in sizes if size > least]
            for first in range(0, len(cubes), batch):
                some = cubes[first : first + batch]
                copies = inputs.repeat(len(some), 1, 1, 1, 1)
                for copy, cube in zip(copies, some, strict=True):
                    copy[:, *cube] = start[0, :, *cube]
                for cube, age in zip(some, model(copies).tolist(), strict=True):
                    found[cube] = whole - age
            maps.append(found[None])
    return _together(maps)


def swift(model: nn.Module) -> nn.Module:
    """Copy a network for evaluation, the same function at half the time on a CPU.

    Normalisation goes into the convolution before it, and the ReLU after the pooling, with
    which it commutes; blocks of another make are left as they are.
    """
    changed = copy.deepcopy(model).eval()
    for place, block in enumerate(changed.blocks):
        kinds = [type(layer) for layer in block]
        if kinds == [nn.Conv3d, nn.BatchNorm3d, nn.ReLU, nn.MaxPool3d]:
            convolution, normalisation, relu, pooling = block
            fused = fuse_conv_bn_eval(convolution, normalisation)
            changed.blocks[place] = nn.Sequential(fused, pooling, relu)
    return changed.to(memory_format=torch.channels_last_3d)


def _cubes(shape: Sequence[int], window: int) -> Iterator[tuple[slice, slice, slice]]:
    counts = [-(-side // window) for side in shape]
    for place in np.ndindex(*counts):
        yield tuple(slice(at * window, (at + 1) * window) for at in place)


def _like(baseline: np.ndarray | None, inputs: Tensor) -> Tensor:
    if baseline is None:
        return torch.zeros_like(inputs[:1])
    start = torch.from_numpy(np.asarray(baseline, dtype=np.float32)).to(inputs.device)
    start = start[None] if start.ndim == 4 else start[None, None]
    if start.shape[1:] != inputs.shape[1:]:
        raise WrongUsage(
            f"the baseline has shape {tuple(start.shape[1:])}, a scan {tuple(inputs.shape[1:])}"
        )
    return start


def _gradient(model: nn.Module, inputs: Tensor) -> Tensor:
    inputs = inputs.detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(model(inputs).sum(), inputs)
    return gradient


def _together(maps: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(maps) if maps else np.empty((0, 0, 0, 0), np.float32)
