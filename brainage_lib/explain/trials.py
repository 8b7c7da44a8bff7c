"""Tests that every method's maps can fail, on a run's own networks and scans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from brainage_lib.explain.cohort import CODE, weights_path
from brainage_lib.explain.faithful import exchange
from brainage_lib.explain.gradcam import cell_mm, grad_cam_blocks
from brainage_lib.explain.null import against_surrogates, p_above, surrogate
from brainage_lib.explain.sample import CAMS, Look, Maps, Sample
from brainage_lib.explain.sanity import (
    cascade,
    mass_outside,
    randomisation_test,
    similarity_within,
    weighted_layers,
)
from brainage_lib.explain.truth import hits
from brainage_lib.files import digest_file
from brainage_lib.run import Run, code_digest
from brainage_lib.tables import TRIALS, read_table, write_table

SIMILAR = 0.5
"""A map that correlates more with the one of a network that knows nothing shows the image."""

COARSE_MM = 32.0
"""What is wider than this tells no region from its neighbour."""

FEW, FEW_SLOW = 6, 2
"""Scans of a test that goes through the network again."""

SURROGATES, P = 39, 0.05
NOT_RUN = "not run: "
UNRESOLVED = "not resolvable at this grid"
TESTS = {
    "randomised": "rank correlation with the map of a network of random weights",
    "outside": "share of the map outside the brain",
    "trainings": "rank correlation with the map of another fold's network",
    "seeds": "rank correlation with the map of another seed's network, of the same fold",
    "labels": "rank correlation with the map of a network that learned shuffled ages",
    "deletion": "area under the deletion curve, over that of a scattered map",
    "insertion": "area under the insertion curve, over that of a scattered map",
    "pointing": "highest voxel carries age",
    "mass": "share of the map on voxels that carry age",
    "rank": "share of voxels that carry age among as many highest",
}
"""Tests, and what their value is."""

STEPS = ["net", "method", "block", "layer", "similarity", "n_scans"]


class Trials(NamedTuple):
    """What the tests said of one kind of network.

    Attributes
    ----------
    table : DataFrame
        Schema ``TRIALS``.
    steps : DataFrame
        Columns net, method, block, layer, similarity, n_scans: the cascade of each method.
    """

    table: pd.DataFrame
    steps: pd.DataFrame


def block_steps(sample: Sample) -> pd.DataFrame:
    """Put signed Grad-CAM of every block through the cascade, at one pass each.

    Returns
    -------
    DataFrame
        Columns as `STEPS`, a row a block and layer.
    """
    network, volumes, brains = _unseen(sample, FEW)
    blocks = range(1, len(network.blocks) + 1)

    def maps(model) -> dict[int, np.ndarray]:
        return {
            b: np.abs(m) for b, m in grad_cam_blocks(model, volumes, blocks, signed=True).items()
        }

    original, rows = maps(network), []
    for layer, changed in cascade(network, volumes, sample.run.profile.seed):
        for block, found in maps(changed).items():
            pairs = zip(original[block], found, brains, strict=True)
            mean = float(np.mean([similarity_within(*three) for three in pairs]))
            rows.append((sample.net, "signed-grad-cam", block, layer, mean, len(volumes)))
    return pd.DataFrame(rows, columns=STEPS)


def finest_block(steps: pd.DataFrame) -> int | None:
    """Choose the finest block whose map depends on what was learned, for all networks.

    Parameters
    ----------
    steps : DataFrame
        Of `block_steps`, of one network or several.

    Returns
    -------
    int or None
        None if no block passes.
    """
    last = steps.groupby(["net", "block"], sort=False).tail(1)
    worst = last.groupby("block")["similarity"].max()
    passing = worst.index[worst < SIMILAR]
    return int(passing.min()) if len(passing) else None


def looks_of(run: Run, finest: int | None) -> list[Look]:
    """Methods of a profile; Grad-CAM at the paper's layer, signed at the finest that passes."""
    settings = run.profile.attribution
    blocks = {"grad-cam": settings.block, "signed-grad-cam": finest or settings.block}
    methods = dict.fromkeys(["grad-cam", *settings.methods])
    return [Look(method, blocks.get(method, 0)) for method in methods]


def resolvable(look: Look, grid_mm: float) -> bool:
    """Whether a method's cells are small enough to ask it for regions."""
    return look.method not in CAMS or cell_mm(grid_mm, look.block) <= COARSE_MM


def try_maps(sample: Sample, looks: Sequence[Look], truth: np.ndarray | None) -> Trials:
    """Put the maps of all methods to the test.

    Writes ``attribution/<mode>/<net>/trials.csv`` and ``steps.csv``; nothing is done again
    while networks and scans stay.

    Parameters
    ----------
    sample : Sample
    looks : sequence of Look
    truth : (x, y, z) array of bool, optional
        Voxels that carry age, where they are known.

    Returns
    -------
    Trials
    """
    run, where = sample.run, f"attribution/{sample.mode}/{sample.net}"
    folds = sorted(sample.tested["fold"].unique())
    parts = ("methods", "sample", "trials", "faithful", "truth", "null")
    code = code_digest(*CODE, *(f"explain/{name}.py" for name in parts))
    others = [
        digest_file(weights_path(run, sample.net, sample.mode, int(folds[0]), **which))
        for which in sample.others
    ]
    key = [[sample.key(look, folds) for look in looks], others, code, truth is not None,
           run.profile.attribution.model_dump(), sample.tested["scan_id"].tolist()]  # fmt: skip
    outputs = [f"{where}/trials.csv", f"{where}/steps.csv"]
    step = f"trials-{sample.mode}-{sample.net}"
    if not run.up_to_date(step, key, outputs):
        tables, steps = zip(*(_try(sample, look, truth) for look in looks), strict=True)
        write_table(pd.concat(tables, ignore_index=True), run.path(outputs[0]), TRIALS)
        path = run.path(outputs[1])
        pd.concat(steps, ignore_index=True).to_csv(path, index=False)
        run.finish(step, key, outputs)
    return Trials(read_table(run.path(outputs[0]), TRIALS), pd.read_csv(run.path(outputs[1])))


def _unseen(sample: Sample, n: int):
    """Open the first fold's network with some scans that it tested, and their brains."""
    scans = sample.scans(Look("grad-cam", 1))
    of_fold = scans[scans["fold"] == scans["fold"].min()].sort_values(["age", "scan_id"])
    places = np.linspace(0, len(of_fold) - 1, min(n, len(of_fold))).round().astype(int)
    ids = of_fold["scan_id"].iloc[np.unique(places)]
    volumes = [np.asarray(volume, np.float32) for volume in sample.inputs(ids)]
    return sample.network(int(scans["fold"].min())), volumes, [sample.brain(i) for i in ids]


def _try(sample: Sample, look: Look, truth: np.ndarray | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    maps = sample.make(look)
    steps, rows = _networks(sample, look)
    rows.append(_outside(sample, maps))
    rows += _exchanged(sample, maps)
    if truth is not None:
        rows += _hits(sample, maps, truth)
    table = pd.DataFrame(rows, columns=["test", "value", "chance", "n_scans", "verdict"])
    return table.assign(mode=sample.mode, net=sample.net, method=look.method,
                        block=look.block)[list(TRIALS.columns)], steps  # fmt: skip


def _said(passes: bool) -> str:
    return "passes" if passes else "fails"


def _networks(sample: Sample, look: Look) -> tuple[pd.DataFrame, list[tuple]]:
    """Compare maps with those of other networks.

    Of random weights; of another fold, which has learned from some of the scans where the first
    has not; of another seed; and of shuffled ages, of which there was nothing to learn.
    """
    network, volumes, brains = _unseen(sample, FEW_SLOW if look.slow else FEW)
    if len(volumes) < 2:
        raise ValueError("the test needs two scans of the first fold at least")
    mapper, names = sample.mapper(look), weighted_layers(network)
    original = np.abs(mapper(network, volumes))
    # Of methods that take long the whole cascade would take minutes.
    layers = [] if look.method == "occlusion" else names[:1] if look.slow else None
    found = randomisation_test(
        network, volumes, brains, sample.run.profile.seed, mapper, layers, original
    )
    steps = pd.DataFrame(
        [(sample.net, look.method, look.block, step.layer, float(step.similarity.mean()),
          len(volumes)) for step in found],
        columns=STEPS,
    )  # fmt: skip

    def alike(other) -> float:
        maps = np.abs(mapper(other, volumes))
        pairs = zip(original, maps, brains, strict=True)
        return float(np.mean([similarity_within(*three) for three in pairs]))

    last, n = float(steps["similarity"].iloc[-1]), len(volumes)
    rows = [("randomised", last, 0.0, n, _said(last < SIMILAR))]
    first, *folds = sorted(int(fold) for fold in sample.tested["fold"].unique())
    again = {
        "trainings": [sample.network(fold) for fold in folds[:1]],
        "seeds": [sample.network(first, **which) for which in sample.others if "seed" in which],
    }
    for test, one in (("trainings", "fold"), ("seeds", "seed")):
        if again[test]:
            value = float(np.mean([alike(other) for other in again[test]]))
            rows.append((test, value, last, n, _said(value > last)))
        else:
            rows.append((test, np.nan, np.nan, n, f"{NOT_RUN}one {one}"))
    if {"shuffled": True} in sample.others:
        value = alike(sample.network(first, shuffled=True))
        rows.append(("labels", value, 0.0, n, _said(value < SIMILAR)))
    else:
        reason = "no network of shuffled ages"
        rows.append(("labels", np.nan, np.nan, n, f"{NOT_RUN}{reason}"))
    return steps, rows


def _outside(sample: Sample, maps: Maps) -> tuple:
    shares, even = [], []
    for scan in maps.scans["scan_id"]:
        brain = sample.brain(scan)
        found = np.abs(maps.store[scan].astype(np.float32))
        shares.append(float(mass_outside(found[None], brain)[0]))
        even.append(1 - brain.mean())
    value, chance = float(np.nanmean(shares)), float(np.mean(even))
    return ("outside", value, chance, len(shares), _said(value < chance / 2))


def _exchanged(sample: Sample, maps: Maps) -> list[tuple]:
    """Measure deletion and insertion, over what scattered maps reach."""
    scans = maps.scans.sort_values(["age", "scan_id"])
    places = np.unique(np.linspace(0, len(scans) - 1, FEW_SLOW + 1).round().astype(int))
    rng = np.random.default_rng([sample.run.profile.seed, 43])
    ratios = []
    for _, scan in scans.iloc[places].iterrows():
        brain = sample.brain(scan["scan_id"])
        volume = np.asarray(sample.inputs([scan["scan_id"]])[0], np.float32)
        found = maps.store[scan["scan_id"]].astype(np.float32)
        both = [found, surrogate(found, brain, rng)]
        curves = exchange(
            sample.network(int(scan["fold"])), [volume] * 2, both, [brain] * 2, sample.average
        )
        for name, area in (
            ("deletion", curves.deletion_area),
            ("insertion", curves.insertion_area),
        ):
            ratios.append((name, area[0] / max(area[1], 1e-6)))
    rows = []
    for name, better in (("deletion", 1), ("insertion", -1)):
        # Ratios, so their logarithms are averaged: half and double are equally far from even.
        values = np.log([max(ratio, 1e-6) for test, ratio in ratios if test == name])
        mean = float(np.exp(values.mean()))
        rows.append((name, mean, 1.0, len(values), _said(better * (mean - 1) > 0)))
    return rows


def _hits(sample: Sample, maps: Maps, truth: np.ndarray) -> list[tuple]:
    """Hits of the mean map against the voxels that carry age, and of scattered ones."""
    if not resolvable(maps.look, sample.grid.mm):
        return [(name, np.nan, np.nan, len(maps.scans), UNRESOLVED) for name in
                ("pointing", "mass", "rank")]  # fmt: skip
    mean = maps.mean()
    brain = np.mean([sample.brain(scan) for scan in maps.scans["scan_id"]], axis=0) >= 0.5
    value, null = against_surrogates(
        lambda found: np.array(hits(found, truth, brain)[:3]),
        mean, brain, SURROGATES, sample.run.profile.seed,
    )  # fmt: skip
    rows = []
    for place, name in enumerate(("pointing", "mass", "rank")):
        p = p_above(value[place], null[:, place])
        rows.append(
            (name, float(value[place]), float(null[:, place].mean()), len(maps.scans),
             "told" if name == "pointing" else _said(p <= P))
        )  # fmt: skip
    return rows


def method_agreement(sample: Sample, looks: Sequence[Look], n: int = FEW_SLOW) -> pd.DataFrame:
    """Rank correlation of the methods' maps of the same scans, smoothed to 16 mm.

    Returns
    -------
    DataFrame
        Columns net, one, other, similarity, n_scans; a row a pair.
    """
    from scipy.ndimage import gaussian_filter

    stores = {look: sample.read(look) for look in looks}
    common = set.intersection(*(set(maps.store.scan_ids) for maps in stores.values()))
    ordered = sample.tested.sort_values(["age", "scan_id"])["scan_id"]
    ids = [scan for scan in ordered if scan in common][:n]
    sigma = 16 / 2.355 / sample.grid.mm
    rows = []
    smooth = {
        look: [gaussian_filter(np.abs(maps.store[i].astype(np.float32)), sigma) for i in ids]
        for look, maps in stores.items()
    }
    brains = [sample.brain(i) for i in ids]
    for place, one in enumerate(looks):
        for other in looks[place + 1 :]:
            three = zip(smooth[one], smooth[other], brains, strict=True)
            mean = np.mean([similarity_within(*each) for each in three]) if ids else np.nan
            rows.append((sample.net, one.words, other.words, float(mean), len(ids)))
    return pd.DataFrame(rows, columns=["net", "one", "other", "similarity", "n_scans"])
