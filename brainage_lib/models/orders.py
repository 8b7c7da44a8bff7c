"""Orders in which the generator's state space walks through a box of voxels.

The generalised Hilbert curve is the gilbert algorithm of Jakub Červený
(https://github.com/jakubcerveny/gilbert, BSD-2-Clause, © 2018 Jakub Červený), written anew
here: a box is cut into pieces whose curves begin where the one before ended. The snake
(boustrophedon) runs to and fro along rows and layers. Both step to a neighbour each time,
so voxels that are near in the sequence are near in the brain; the converse holds
better for Hilbert's.

An order is an array of places in the flattened (C-ordered) box.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import permutations

import numpy as np
import torch
from torch import Tensor

from brainage_lib.errors import WrongUsage

ORDERS = ("hilbert+snake", "snake4")
Curve = Callable[[tuple[int, int, int]], np.ndarray]


def hilbert(shape: tuple[int, int, int]) -> np.ndarray:
    """Coordinates along the generalised Hilbert curve of a box.

    Parameters
    ----------
    shape : (3,) even ints > 0
        Odd sides would need diagonal steps and are refused.

    Returns
    -------
    (n_voxels, 3) array of int
        From corner (0, 0, 0) to the end of the first axis; each voxel once, each step of
        length 1. (The original begins along the longest side; for even boxes any will do,
        and so permuted axes always give another curve.)

    Examples
    --------
    >>> hilbert((2, 2, 2))[:4].tolist()
    [[0, 0, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1]]
    """
    _check_even(shape)
    return np.concatenate(list(_pieces(np.zeros(3, int), *np.diag(shape))))


def _pieces(start: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Iterator[np.ndarray]:
    """Fill the box with edges a, b, c (along one axis each, signed), ending at start + a."""
    lengths = [abs(int(edge.sum())) for edge in (a, b, c)]
    if sorted(lengths)[1] == 1:
        edge = (a, b, c)[int(np.argmax(lengths))]
        yield start + np.arange(max(lengths))[:, None] * np.sign(edge)
        return
    w, h, d = lengths
    a1, b1, c1 = (_near_half(edge) for edge in (a, b, c))
    a2, b2, c2 = a - a1, b - b1, c - c1
    # The last voxel along an edge: one step short of its end.
    a_last, b1_last, c1_last, c_last = (edge - np.sign(edge) for edge in (a, b1, c1, c))
    if 2 * w > 3 * h and 2 * w > 3 * d:  # long: two halves, one behind the other
        yield from _pieces(start, a1, b, c)
        yield from _pieces(start + a1, a2, b, c)
    elif 3 * h > 4 * d:  # flat in c: up along b, across, down again
        yield from _pieces(start, b1, c, a1)
        yield from _pieces(start + b1, a, b2, c)
        yield from _pieces(start + a_last + b1_last, -b1, c, -a2)
    elif 3 * d > 4 * h:  # flat in b: the same along c
        yield from _pieces(start, c1, a1, b)
        yield from _pieces(start + c1, a, b, c2)
        yield from _pieces(start + a_last + c1_last, -c1, -a2, b)
    else:  # like a cube: five pieces, of which the middle one spans a
        yield from _pieces(start, b1, c1, a1)
        yield from _pieces(start + b1, c, a1, b2)
        yield from _pieces(start + b1_last + c_last, a, -b1, -c2)
        yield from _pieces(start + a_last + b1 + c_last, -c, -a2, b2)
        yield from _pieces(start + a_last + b1_last, -b1, c1, -a2)


def _near_half(edge: np.ndarray) -> np.ndarray:
    """Half of an edge, made even where it can be, because only even pieces join up."""
    length = abs(int(edge.sum()))
    half = length // 2
    if half % 2 and length > 2:
        half += 1
    return np.sign(edge) * half


def snake(shape: tuple[int, int, int]) -> np.ndarray:
    """Coordinates to and fro: the last axis fastest, every row against the one before.

    Returns
    -------
    (n_voxels, 3) array of int
        Each voxel once, each step of length 1.

    Examples
    --------
    >>> snake((1, 2, 2)).tolist()
    [[0, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 0]]
    """
    nx, ny, nz = shape
    x = np.repeat(np.arange(nx), ny * nz)
    row = np.repeat(np.arange(nx * ny), nz)
    y = _to_and_fro(row % ny, ny, back=x % 2 == 1)
    z = _to_and_fro(np.tile(np.arange(nz), nx * ny), nz, back=row % 2 == 1)
    return np.stack([x, y, z], axis=1)


def _to_and_fro(place: np.ndarray, length: int, back: np.ndarray) -> np.ndarray:
    return np.where(back, length - 1 - place, place)


def _along(
    curve: Curve, shape: tuple[int, int, int], axes: Sequence[int], flipped: int | None = None
) -> np.ndarray:
    """Order of the box when the curve's own axes lie along ``axes``, one of them reversed."""
    coordinates = np.empty((int(np.prod(shape)), 3), int)
    coordinates[:, list(axes)] = curve(tuple(shape[axis] for axis in axes))
    if flipped is not None:
        coordinates[:, flipped] = shape[flipped] - 1 - coordinates[:, flipped]
    return np.ravel_multi_index(tuple(coordinates.T), shape)


@lru_cache(maxsize=256)
def eight_paths(
    shape: tuple[int, int, int],
    block: int = 0,
    orders: str = "hilbert+snake",
    device: torch.device | None = None,
) -> tuple[Tensor, Tensor]:
    """Eight orders of a box for one block of the bottleneck.

    Paths 1, 3, 5 and 7 run forward; 2, 4, 6 and 8 are the same reversed. The base axes are
    permuted from block to block (index mod 6), so that over six blocks no axis is favoured.

    Parameters
    ----------
    shape : (3,) even ints
    block : int
        Index of the block.
    orders : str
        ``"hilbert+snake"``: generalised Hilbert, the same with axes cycled, snake, the same
        with axes cycled (ours: it works for every even box). ``"snake4"``: a snake in four
        rotations of the box, as the published code of MedSegMamba scans 12³ voxels; which
        four is not in its text: here the box as it is and its quarter turns about each axis.
    device : torch device, optional
        Where the tensors lie; they are kept, so do not change them in place.

    Returns
    -------
    paths : (8, n_voxels) int64 tensor
        ``paths[k, i]`` is the voxel that path k visits i-th.
    places : (8, n_voxels) int64 tensor
        The inverse: ``places[k, v]`` is when path k visits voxel v.
    """
    _check_even(shape)
    base = list(permutations(range(3)))[block % 6]
    if orders == "hilbert+snake":
        cycled = (*base[1:], base[0])
        forward = [
            _along(curve, shape, axes) for curve in (hilbert, snake) for axes in (base, cycled)
        ]
    elif orders == "snake4":
        p, q, r = base
        turns = [((p, q, r), None), ((p, r, q), q), ((r, q, p), r), ((q, p, r), p)]
        forward = [_along(snake, shape, axes, flipped) for axes, flipped in turns]
    else:
        raise WrongUsage(f"unknown orders {orders!r}; choose one of {', '.join(ORDERS)}")
    paths = np.stack([path for order in forward for path in (order, order[::-1])])
    places = np.argsort(paths, axis=1)
    return torch.from_numpy(paths).to(device), torch.from_numpy(places).to(device)


def _check_even(shape: Sequence[int]) -> None:
    if len(shape) != 3 or any(side < 2 or side % 2 for side in shape):
        raise WrongUsage(
            f"space-filling orders need a box with three even sides, got {tuple(shape)}; odd "
            "sides would force diagonal steps. The generator's box is its patch divided by 8, "
            "so choose patch sides that are multiples of 16"
        )
