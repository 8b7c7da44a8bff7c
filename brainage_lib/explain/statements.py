"""The paper's statements about regions (§3.4), each as a number with its null."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from brainage_lib.explain.gradcam import cell_mm, top_fifth
from brainage_lib.explain.methods import window_voxels
from brainage_lib.explain.null import against_surrogates, p_above
from brainage_lib.explain.regions import DENTATE_MM, Atlas, atlas, region_shares
from brainage_lib.explain.sample import CAMS, Look, Maps, Sample
from brainage_lib.explain.sanity import overlap
from brainage_lib.explain.trials import COARSE_MM, UNRESOLVED
from brainage_lib.run import Run
from brainage_lib.tables import STATEMENTS

SURROGATES, SHUFFLES = 99, 1999
LEVEL = 0.05
YOUNG, OLD = 40.0, 60.0
"""Below and from here on; the paper says "young" and "old" and no ages."""

CENTRAL = ("deep grey", "brain stem", "cerebellum")
"""Our reading of "central and lower brain"."""

NEEDED = {"young": ("young",), "all": ("all",), "change": ("young", "old")}
"""Groups of scans that a statement is about."""


class Claim(NamedTuple):
    """One statement.

    Attributes
    ----------
    finding : int
        Of the ledger.
    net : str
    words : str
    regions : tuple of str
    about : {"young", "all", "change"}
        More there than a scattered map in the young, or in all; more there in the old than
        in the young.
    """

    finding: int
    net: str
    words: str
    regions: tuple[str, ...]
    about: str


CLAIMS = (
    Claim(43, "T", "medial prefrontal in the young", ("medial prefrontal",), "young"),
    Claim(43, "T", "inferior frontal more in the old", ("inferior frontal",), "change"),
    Claim(44, "A", "medial prefrontal in the young", ("medial prefrontal",), "young"),
    Claim(44, "A", "medial temporal more in the old", ("medial temporal",), "change"),
    Claim(45, "T", "white matter", ("white matter",), "all"),
    Claim(46, "A", "central and lower brain", CENTRAL, "all"),
)


def try_statements(
    samples: Mapping[str, Sample], maps: Mapping[str, Maps], seed: int
) -> pd.DataFrame:
    """Try every statement on the maps of one method.

    Parameters
    ----------
    samples, maps : mapping of net to Sample and Maps
        Maps of one method.
    seed : int

    Returns
    -------
    DataFrame
        Schema ``STATEMENTS``. A region narrower than a cell of the map is refused with the
        reason.
    """
    look = next(iter(maps.values())).look
    mm = next(iter(samples.values())).grid.mm
    regions = atlas(next(iter(samples.values())).grid)
    rows = [
        _claim(claim, samples[claim.net], maps[claim.net], regions, seed)
        for claim in CLAIMS
        if claim.net in maps
    ]
    if "A" in maps:
        rows.append(
            {
                "finding": 44,
                "net": "A",
                "statement": "the dentate gyrus in particular",
                "measure": "not tried",
                "n_scans": len(maps["A"].scans),
                "outcome": UNRESOLVED,
                "reason": f"it is {DENTATE_MM:g} mm thick, a voxel {mm} mm, a cell of this map "
                f"{_cell(look, mm):g} mm",
            }
        )
    if {"T", "A"} <= set(maps):
        rows += _together(samples, maps, seed)
    table = pd.DataFrame(rows).assign(
        mode=next(iter(samples.values())).mode, method=look.method, block=look.block
    )
    return table.reindex(columns=list(STATEMENTS.columns)).fillna({"reason": ""})


def count_people(run: Run, statements: pd.DataFrame) -> list[int]:
    """Count the people of whom each row speaks; of a change with age, those of the smaller group.

    Parameters
    ----------
    run : Run
        That the statements are of.
    statements : DataFrame
        Schema ``STATEMENTS``.
    """
    about = {(claim.finding, claim.words): claim.about for claim in CLAIMS}
    samples: dict[tuple[str, str], Sample] = {}
    counts = []
    for row in statements.itertuples():
        # What is said of both networks is said of the same scans.
        which = row.net.split()[0], row.mode
        if which not in samples:
            samples[which] = Sample(run, *which)
        groups = _groups(samples[which].scans(Look(row.method, int(row.block))))
        needed = NEEDED[about.get((row.finding, row.statement), "all")]
        counts.append(min(groups[name]["participant_id"].nunique() for name in needed))
    return counts


def _cell(look: Look, mm: float) -> float:
    if look.method in CAMS:
        return cell_mm(mm, look.block)
    return float(window_voxels(mm) * mm) if look.method == "occlusion" else float(mm)


def _claim(claim: Claim, sample: Sample, maps: Maps, regions: Atlas, seed: int) -> dict:
    row = {"finding": claim.finding, "net": claim.net, "statement": claim.words}
    cell, width = _cell(maps.look, sample.grid.mm), regions.width_mm(*claim.regions)
    groups = _groups(maps.scans)
    needed = NEEDED[claim.about]
    n = sum(len(groups[name]) for name in needed)
    if cell > min(width, COARSE_MM):
        reason = f"the region is {width:.0f} mm wide, a cell of this map {cell:g} mm"
        return row | {"measure": "not tried", "n_scans": n, "outcome": UNRESOLVED,
                      "reason": reason}  # fmt: skip
    if min(len(groups[name]) for name in needed) < 2:
        return row | {"measure": "not tried", "n_scans": n, "outcome": "not tested",
                      "reason": f"fewer than two scans of {' or '.join(needed)}"}  # fmt: skip
    if claim.about == "change":
        return row | _change(claim, sample, maps, regions, groups, seed)
    return row | _more(claim, sample, maps, regions, groups[needed[0]], seed)


def _groups(scans: pd.DataFrame) -> dict[str, pd.DataFrame]:
    age = scans["age"]
    return {"all": scans, "young": scans[age < YOUNG], "old": scans[age >= OLD]}


def _brain(sample: Sample, scan_ids) -> np.ndarray:
    total = np.zeros(sample.grid.shape, np.float32)
    for scan in scan_ids:
        total += sample.brain(scan)
    return total >= len(scan_ids) / 2


def _more(claim, sample, maps, regions, scans, seed) -> dict:
    """Share of the mean map in the regions, against scattered maps of its smoothness."""
    places = [regions.names.index(name) for name in claim.regions]
    brain = _brain(sample, scans["scan_id"])
    value, null = against_surrogates(
        lambda found: region_shares(found, brain, regions)[places].sum(),
        maps.mean(scans["scan_id"]), brain, SURROGATES, seed,
    )  # fmt: skip
    return _result("share of the map", float(value[0]), null[:, 0], len(scans))


def _change(claim, sample, maps, regions, groups, seed) -> dict:
    """Share in the old minus share in the young, against the same with ages shuffled."""
    places = [regions.names.index(name) for name in claim.regions]
    both = pd.concat([groups["young"], groups["old"]])
    shares = np.array(
        [
            region_shares(
                maps.store[scan].astype(np.float32), sample.brain(scan), regions
            )[places].sum()
            for scan in both["scan_id"]
        ]
    )  # fmt: skip
    old = np.arange(len(both)) >= len(groups["young"])
    # People, not scans, are exchangeable: a person's scans keep together.
    people, codes = np.unique(both["participant_id"].to_numpy(), return_inverse=True)
    first = np.array([old[codes == person].any() for person in range(len(people))])
    rng = np.random.default_rng([seed, 47])
    null = []
    for _ in range(SHUFFLES):
        label = rng.permutation(first)[codes]
        null.append(shares[label].mean() - shares[~label].mean())
    value = float(shares[old].mean() - shares[~old].mean())
    return _result("share in the old minus share in the young", value, np.array(null), len(both))


def _together(samples, maps, seed: int) -> list[dict]:
    """Whether both networks look at the same places: overlap, and correlation."""
    ids = [scan for scan in maps["T"].scans["scan_id"] if scan in maps["A"].store]
    brain = _brain(samples["T"], ids)
    one, other = (maps[net].mean(ids) for net in ("T", "A"))
    top = top_fifth(other, brain)
    ranks = rankdata(other[brain])
    value, null = against_surrogates(
        lambda found: np.array(
            [
                overlap(top_fifth(found, brain), top),
                np.corrcoef(rankdata(found[brain]), ranks)[0, 1],
            ]
        ),
        one, brain, SURROGATES, seed,
    )  # fmt: skip
    dice = _result("Dice of the highest fifths", float(value[0]), -null[:, 0], len(ids), -1)
    alike = _result("rank correlation of the mean maps", float(value[1]), null[:, 1], len(ids))
    return [
        {"finding": 34, "net": "T and A", "statement": "mutually exclusive regions"} | dice,
        {"finding": 41, "net": "T and A", "statement": "the same regions"} | alike,
    ]


def _result(measure: str, value: float, null: np.ndarray, n: int, sign: int = 1) -> dict:
    """Compare with the null; ``sign`` −1 where less is claimed, and the null has it already."""
    p = p_above(sign * value, null)
    low, high = np.sort(np.quantile(sign * null, [0.025, 0.975]))
    return {
        "measure": measure, "value": value, "null_low": low, "null_high": high, "p": p,
        "n_scans": n, "outcome": "agrees" if p <= LEVEL else "does not agree",
    }  # fmt: skip
