"""The networks that read ages, by their name in a recipe and in a file of weights."""

from __future__ import annotations

import os
from collections.abc import Sequence

from torch import nn

from brainage_lib.errors import BadInput
from brainage_lib.models.fcn import FCN
from brainage_lib.models.vgg8 import VGG8
from brainage_lib.models.weights import load_weights, restore

NETWORKS = {"vgg8": VGG8, "fcn": FCN}


def make_network(name: str, shape: Sequence[int], channels: int = 1) -> nn.Module:
    """Make a network with random weights.

    Parameters
    ----------
    name : {"vgg8", "fcn"}
    shape : (3,) ints
        Voxels of the grid.
    channels : int
        Volumes per scan that are read together.

    Returns
    -------
    VGG8 or FCN
        Both have ``features``, ``ages`` (of features), ``blocks`` and ``mirrors``.
    """
    return NETWORKS[name](shape, channels)


def network_facts(model: nn.Module) -> dict[str, str]:
    """Tell which network this is, as metadata of its weights, so that it can be opened again.

    Parameters
    ----------
    model : VGG8 or FCN

    Returns
    -------
    dict of str to str
        network, shape, channels.
    """
    return {
        "network": type(model).__name__.lower(),
        "shape": " ".join(map(str, model.shape)),
        "channels": str(model.channels),
    }


def open_network(path: str | os.PathLike) -> nn.Module:
    """Open weights whose metadata hold `network_facts`, as `brainage train` writes them.

    Parameters
    ----------
    path : path

    Returns
    -------
    VGG8 or FCN
        Set to evaluate.

    Raises
    ------
    BadInput
        The file is missing or damaged, does not say which network it holds, or its weights do
        not fit that network.
    """
    metadata = load_weights(path)[1]
    try:
        network = NETWORKS[metadata["network"]]
        shape = [int(side) for side in metadata["shape"].split()]
        channels = int(metadata["channels"])
    except (KeyError, ValueError):
        finding = "does not say which network it holds; give weights that `brainage train` wrote"
        raise BadInput(str(path), [finding]) from None
    model = network(shape, channels)
    restore(model, path)
    return model.eval()
