"""From a person to tissue maps on a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from brainage_lib.imaging import Grid
from brainage_lib.simulate.atlas import base_maps
from brainage_lib.simulate.fields import smooth_field
from brainage_lib.simulate.person import Person
from brainage_lib.simulate.uri import ScanSpec

STRIPPED_SHARE = 0.93
"""Share of the intracranial volume that skull stripping keeps: the outer CSF goes with the
dura. So a structure's share of the brain mask is its share of TIV over this."""

THIRD_VENTRICLE = 1.08
"""The painted ventricles include the third; the curve is of the lateral ones."""

SHAPE_MM = ((45.0, 0.75), (18.0, 0.45))
"""(spacing of control points, SD of displacement) in mm: lobes and gyri that differ between
people after an affine registration."""

POSE_MM, POSE_DEG, POSE_SCALE = 0.4, 0.5, 0.008
"""SDs of what an affine registration leaves: shift, rotation, log scale (each axis)."""


REGIONAL_SD = 0.12
"""Between people: log of how strongly the cortex of a region thins."""

FOLD_MM, FOLD_SD = 6.5, 0.3
"""The template's cortex is the blur of 152 people's folds. A field of this spacing, as a log
power of the tissue share, makes it into one person's crowns and furrows."""


@dataclass(frozen=True)
class Tissue:
    """Tissue of one scan, values of the voxels inside ``mask``.

    Attributes
    ----------
    mask : (x, y, z) array of bool
    places : (3, n) array
        Where in the template each voxel lies, in voxels of the grid.
    cortex, deep, white, lesion, csf : (n,) arrays, 0–1
        Shares of each voxel; they add up to 1. ``cortex`` includes the cerebellum's and the
        hippocampus, ``deep`` is the nuclei, ``lesion`` is white matter that was damaged.
    parts : dict
        The structures of the ageing table, (n,) arrays, 0–1.
    """

    mask: np.ndarray
    places: np.ndarray
    cortex: np.ndarray
    deep: np.ndarray
    white: np.ndarray
    lesion: np.ndarray
    csf: np.ndarray
    parts: dict[str, np.ndarray]


def make_tissue(spec: ScanSpec, person: Person, target: Grid) -> Tissue:
    """Warp the template to the person's shape and give each structure its volume.

    Ventricles, hippocampus and nuclei are painted as {distance from their surface < d}, with
    the d at which their volume is right; the cortex thins where it meets CSF (its share of
    tissue t becomes t^γ) and white matter where it meets the cortex.
    """
    base = base_maps(target)
    places, inside = _places(spec, target)
    head = _at(base.head, places) > 0.5
    places, mask = places[:, head], np.zeros(target.shape, dtype=bool)
    mask[tuple(inside[:, head])] = True
    read = {name: _at(values, places) for name, values in base._asdict().items()}
    n_voxels = places.shape[1]
    aim = {name: share / STRIPPED_SHARE * n_voxels for name, share in person.shares.items()}

    rest = np.ones(n_voxels, dtype=np.float32)
    ventricle = _paint(read["ventricle_mm"], rest, THIRD_VENTRICLE * aim["ventricles"], target.mm)
    rest = rest - ventricle
    hippocampus = _paint(read["hippocampus_mm"], rest, aim["hippocampus"], target.mm)
    rest = rest - hippocampus
    nuclei = _paint(read["nuclei_mm"], rest, aim["subcortical"], target.mm)
    rest = rest - nuclei

    rng = np.random.default_rng([spec.seed, 3])
    regional = np.exp(REGIONAL_SD * smooth_field(target, 30.0, rng)[mask]) * read["thinning"]
    folds = np.exp(FOLD_SD * smooth_field(target, FOLD_MM, rng)[mask])
    tissue = np.clip(read["grey"] + read["white"], 1e-4, 1)
    log_white = np.log(np.clip(np.minimum(read["white"], tissue), 1e-4, 1))
    log_tissue = folds * np.log(tissue)
    white = _power(log_white, rest, aim["white"])
    cerebellum = read["cerebellum"]
    grey = {}
    for name, where, pattern in (
        ("cortex", 1 - cerebellum, regional),
        ("cerebellum_grey", cerebellum, np.float32(1)),
    ):
        grey[name] = _thin(log_tissue, pattern, rest * where, white * where, aim[name])
    csf = np.clip(rest - white - grey["cortex"] - grey["cerebellum_grey"], 0, 1) + ventricle
    lesion = _lesions(spec, person, read["ventricle_mm"], white, target, mask)
    return Tissue(
        mask=mask,
        places=places,
        cortex=grey["cortex"] + grey["cerebellum_grey"] + hippocampus,
        deep=nuclei,
        white=white - lesion,
        lesion=lesion,
        csf=csf,
        parts={
            **grey,
            "subcortical": nuclei,
            "hippocampus": hippocampus,
            "white": white,
            "ventricles": ventricle / THIRD_VENTRICLE,
        },
    )


def _places(spec: ScanSpec, target: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Where in the template each voxel of this scan lies (voxels), and which voxels these are."""
    near = ndimage.binary_dilation(base_maps(target).head > 0.02, iterations=round(8 / target.mm))
    inside = np.array(np.nonzero(near))
    shape = np.random.default_rng([spec.seed, 2])
    moved = np.zeros((3, inside.shape[1]), dtype=np.float32)
    for spacing, sd in SHAPE_MM:
        for axis in range(3):
            moved[axis] += sd * smooth_field(target, spacing, shape)[near]
    pose = np.random.default_rng([spec.seed, spec.session, 4])
    # The person's own size after registration, and this scan's registration error.
    scale = np.exp(POSE_SCALE * (shape.standard_normal(3) + 0.3 * pose.standard_normal(3)))
    angles = np.deg2rad(POSE_DEG * pose.standard_normal(3))
    shift = POSE_MM * pose.standard_normal(3)
    middle = (np.asarray(target.shape)[:, None] - 1) / 2
    matrix = _rotation(angles) * scale
    places = matrix @ (inside - middle) + middle + (moved + shift[:, None]) / target.mm
    return places.astype(np.float32), inside


def _rotation(angles: np.ndarray) -> np.ndarray:
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix


def _at(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    return ndimage.map_coordinates(values, places, order=1, mode="nearest")


def _paint(distance: np.ndarray, rest: np.ndarray, aim: float, mm: int) -> np.ndarray:
    """Share of each voxel in {distance < d}, with the d at which the sum is ``aim``.

    The edge is a ramp of one voxel's width, its share of a plane that cuts the voxel.
    """
    near = np.flatnonzero(distance < 20)
    close, room = distance[near], rest[near]

    def share(d: float) -> np.ndarray:
        return np.clip(0.5 + (d - close) / mm, 0, 1) * room

    d = _solve(lambda x: share(x).sum(), aim, -8.0, 12.0)
    painted = np.zeros_like(rest)
    painted[near] = share(d)
    return painted


def _power(log_share: np.ndarray, room: np.ndarray, aim: float) -> np.ndarray:
    """Raise a share to the power γ at which the sum of room · share^γ is ``aim``."""
    gamma = np.exp(_solve(lambda x: -(room * np.exp(np.exp(x) * log_share)).sum(), -aim, -3.0, 4.0))
    return room * np.exp(np.float32(gamma) * log_share)


def _thin(log_tissue, pattern, room, white, aim: float) -> np.ndarray:
    """Grey share room · t^(1 + (γ − 1)·pattern) − white, with the γ at which the sum is aim."""

    def grey(log_gamma: float) -> np.ndarray:
        power = np.maximum(1 + np.float32(np.exp(log_gamma) - 1) * pattern, 0.02)
        return np.clip(room * np.exp(power * log_tissue) - white, 0, None)

    return grey(_solve(lambda x: -grey(x).sum(), -aim, -3.0, 4.0))


def _solve(function, aim: float, low: float, high: float, steps: int = 14) -> float:
    """Bisect a rising function; beyond the ends the nearer end is returned."""
    for _ in range(steps):
        middle = (low + high) / 2
        if function(middle) < aim:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _lesions(spec, person, ventricle_mm, white, target, mask) -> np.ndarray:
    """White matter that turned hyperintense: about the ventricles first, in patches."""
    rng = np.random.default_rng([spec.seed, 5])
    patches = np.exp(0.8 * smooth_field(target, 12.0, rng)[mask])
    weight = white * patches * np.exp(-np.clip(ventricle_mm, 0, None) / 5)
    # Millilitres of the person's head, put into MNI152 space by the head's volume.
    aim = person.lesion_ml / person.tiv_ml / STRIPPED_SHARE * white.size
    return np.minimum(weight * np.float32(aim / max(weight.sum(), 1e-6)), 0.9 * white)
