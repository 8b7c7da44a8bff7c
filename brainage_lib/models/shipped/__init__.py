"""Weights of generators that come with the package, each with its model card.

``aicbv-<grid>mm.safetensors`` (half precision) and ``aicbv-<grid>mm.json`` lie in this folder;
``brainage cbv-train`` writes both. Trained on simulated people alone.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from brainage_lib.errors import WrongUsage
from brainage_lib.files import read_json

FOLDER = Path(__file__).resolve().parent


def shipped_grids() -> list[int]:
    """Voxels, in mm, of the grids for which weights are shipped, the coarsest first."""
    names = (path.name for path in FOLDER.iterdir())
    found = (re.fullmatch(r"aicbv-([1-4])mm\.safetensors", name) for name in names)
    return sorted((int(match[1]) for match in found if match), reverse=True)


def shipped_weights(grid_mm: int | None = None) -> Path:
    """Path of the shipped weights for a grid, or of the finest there are.

    Raises
    ------
    WrongUsage
        None are shipped for it; names those that are, and what else there is.
    """
    grids = shipped_grids()
    if not grids or grid_mm not in (None, *grids):
        which = "any grid" if grid_mm is None else f"{grid_mm} mm"
        there = f"there are some for {', '.join(f'{mm} mm' for mm in grids)}; " if grids else ""
        raise WrongUsage(
            f"no weights are shipped for {which}; {there}give a run or a file of weights, or "
            "train some with `brainage cbv-train`"
        )
    return FOLDER / f"aicbv-{min(grids) if grid_mm is None else grid_mm}mm.safetensors"


def shipped_card(grid_mm: int) -> dict[str, Any]:
    """Model card of shipped weights: data, seed, training, scores, and what they are not."""
    return read_json(shipped_weights(grid_mm).with_suffix(".json"))
