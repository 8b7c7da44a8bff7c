"""What a trained network says about volumes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from brainage_lib.train.batches import as_input


def predict_network(model: nn.Module, volumes: Sequence[np.ndarray], batch: int = 8) -> np.ndarray:
    """Predict ages.

    Parameters
    ----------
    model : Module
        Maps (n, channels, x, y, z) to (n,) years. One that ``mirrors`` is asked for the volume
        and for its left-right mirror image, and the mean is taken.
    volumes : sequence of (x, y, z) or (channels, x, y, z) arrays
        Normalised as in training.
    batch : int
        Volumes at once.

    Returns
    -------
    (n,) array of float64, years.
    """
    return _apply(model, model, volumes, batch).reshape(len(volumes))


def network_features(model: nn.Module, volumes: Sequence[np.ndarray], batch: int = 8) -> np.ndarray:
    """Activations that the last layer of a network reads; parameters as `predict_network`.

    Returns
    -------
    (n, 128) array of float64, >= 0.
    """
    return _apply(model, model.features, volumes, batch)


def ages_and_features(
    model: nn.Module, volumes: Sequence[np.ndarray], batch: int = 8
) -> tuple[np.ndarray, np.ndarray]:
    """Both at the price of one; `predict_network` and `network_features`."""
    both = _apply(
        model,
        lambda x: torch.cat([model.ages(seen := model.features(x))[:, None], seen], dim=1),
        volumes,
        batch,
    )
    return both[:, 0], both[:, 1:]


def _apply(
    model: nn.Module,
    function: Callable[[Tensor], Tensor],
    volumes: Sequence[np.ndarray],
    batch: int,
) -> np.ndarray:
    device = next(model.parameters()).device
    was_training, mirrors = model.training, getattr(model, "mirrors", False)
    model.eval()
    found = []
    try:
        with torch.inference_mode():
            for first in range(0, len(volumes), batch):
                rows = range(first, min(first + batch, len(volumes)))
                inputs = as_input([volumes[row] for row in rows]).to(device)
                values = function(inputs)
                if mirrors:
                    # x runs from left to right, about the middle of the grid.
                    values = (values + function(inputs.flip(2))) / 2
                found.append(values.double().cpu().numpy())
    finally:
        model.train(was_training)
    return np.concatenate(found) if found else np.empty(0)
