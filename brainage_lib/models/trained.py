"""A trained generator with what it needs to be used: its grid, its patch, what it learned from."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from brainage_lib.errors import BadInput, WrongUsage
from brainage_lib.models.aicbv import SIDE, SIZES, AICBVGenerator
from brainage_lib.models.orders import ORDERS
from brainage_lib.models.synthesis import synthesise
from brainage_lib.models.weights import load_weights, restore

LARGEST_CBV = 100.0
"""ml/100 ml: a voxel that is all blood."""

LARGEST_BRAIN_ML = 2500.0
"""Of a T1w with more, the skull was not removed; the limit of the quality verdict."""

GRIDS = (1, 2, 3, 4)


@dataclass(frozen=True)
class TrainedGenerator:
    """A generator and how it is to be used.

    Attributes
    ----------
    network : AICBVGenerator
        Set to evaluate, on a card where there is one.
    grid_mm : {1, 2, 3, 4}
        Voxel of the grid on which it was trained.
    patch : int
        Side of a window, voxels; a multiple of 16.
    overlap : float
        Share of a window that neighbours share, 0 to below 1.
    metadata : dict of str to str
        Of the weights' file.
    """

    network: AICBVGenerator
    grid_mm: int
    patch: int
    overlap: float
    metadata: dict[str, str] = field(repr=False, default_factory=dict)

    def __post_init__(self):
        if self.patch < SIDE or self.patch % SIDE:
            near = max(SIDE, SIDE * round(self.patch / SIDE))
            raise WrongUsage(
                f"a patch of {self.patch} voxels leaves a box with odd sides, which the "
                f"space-filling orders cannot walk; give a multiple of {SIDE}, such as {near}"
            )
        if not 0 <= self.overlap < 1:
            raise WrongUsage(f"overlap {self.overlap} is not within 0 and 1; a third is usual")

    def with_patch(self, patch: int) -> TrainedGenerator:
        """Return the same generator with windows of another side."""
        return replace(self, patch=patch)

    def cbv(self, t1w: np.ndarray, progress: Callable | None = None) -> np.ndarray:
        """Synthesise the AICBV map of one scan.

        Parameters
        ----------
        t1w : (x, y, z) array
            On the grid of ``grid_mm``, 0 outside the brain, mean of the top 1 % at 1.
        progress : callable, optional
            As for :func:`~brainage_lib.models.synthesise`.

        Returns
        -------
        (x, y, z) array of float32
            ml/100 ml, 0–100; 0 outside the brain. The head is linear; less than no blood is an
            error of the network that means none.

        Raises
        ------
        BadInput
            The volume is not on the grid, not normalised or not brain-extracted.
        """
        check_t1w(t1w, self.grid_mm)
        overlap = int(self.overlap * self.patch)
        # One window at a time keeps a scan of 1 mm within 3 GB.
        batch = 1 if self.patch > 48 else 2
        found = synthesise(self.network, t1w, self.patch, overlap, batch, progress)
        return found.clip(0, LARGEST_CBV)


def check_t1w(t1w: np.ndarray, grid_mm: int) -> None:
    """Refuse a volume that is not what generators are trained on.

    Raises
    ------
    BadInput
        With every finding and its remedy.
    """
    # Here, because the networks load without a library of images.
    from brainage_lib.imaging import grid, top_mean

    shape = grid(grid_mm).shape
    if t1w.shape != shape:
        finding = (
            f"shape {t1w.shape} is not that of the {grid_mm} mm grid, {shape}; resample it with "
            f"imaging.to_grid(img, imaging.grid({grid_mm}))"
        )
        raise BadInput("T1w", [finding])
    findings = []
    values = np.asarray(t1w, np.float32)
    ml = np.count_nonzero(values > 0) * grid_mm**3 / 1000
    if not np.isfinite(values).all() or (values < 0).any() or ml == 0:
        findings.append("values must be finite, 0 outside the brain and above 0 in it")
    else:
        if ml > LARGEST_BRAIN_ML:
            findings.append(
                f"{ml:.0f} ml are not zero, over {LARGEST_BRAIN_ML:.0f}: not brain-extracted; "
                "strip the skull first (`brainage preprocess`, or --t1w-state native-head)"
            )
        top = float(top_mean(values))
        if abs(top - 1) > 0.05:
            findings.append(
                f"not normalised: the mean of the top 1 % is {top:.3g}, not 1; divide by it "
                "(imaging.normalise)"
            )
    if findings:
        raise BadInput("T1w", findings)


def open_generator(
    path: str | os.PathLike, patch: int | None = None, overlap: float | None = None
) -> TrainedGenerator:
    """Open weights of a generator; the file says of which size and for which grid they are.

    Parameters
    ----------
    path : path
        A safetensors file that :func:`~brainage_lib.train.fit_generator` wrote, in any
        precision.
    patch, overlap
        Instead of the file's own.

    Raises
    ------
    BadInput
        The file is missing, cut short, of another format or of another network.
    WrongUsage
        The patch or overlap is impossible.
    """
    state, metadata = load_weights(path)
    del state
    findings = []
    if metadata.get("network") != AICBVGenerator.__name__:
        said = metadata.get("network", "no network that it names")
        findings.append(
            f"these are the weights of {said}, not of an AICBVGenerator; give "
            "aicbv/weights.safetensors of a run, or weights that `brainage cbv-train` made"
        )
    else:
        allowed = {
            "size": tuple(SIZES), "grid_mm": tuple(map(str, GRIDS)), "orders": ORDERS,
        }  # fmt: skip
        known = {"orders": ORDERS[0]} | metadata
        findings += [
            f"{name}: {known.get(name)!r} is not one of {', '.join(values)}; the file's metadata "
            "were changed, or it is of a later version"
            for name, values in allowed.items()
            if known.get(name) not in values
        ]
    if findings:
        raise BadInput(str(Path(path)), findings)
    network = AICBVGenerator(metadata["size"], metadata.get("orders", ORDERS[0]))
    restore(network, path)
    return TrainedGenerator(
        network.eval().to("cuda" if torch.cuda.is_available() else "cpu"),
        int(metadata["grid_mm"]),
        int(metadata.get("patch", 48)) if patch is None else patch,
        float(metadata.get("overlap", 1 / 3)) if overlap is None else overlap,
        metadata,
    )
