"""Shares by region, the paper's statements, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from brainage_lib.data import VolumeStore, VolumeWriter
from brainage_lib.errors import WrongUsage
from brainage_lib.explain import Look, Maps, atlas, region_shares, share_table, try_statements
from brainage_lib.explain.regions import ALL_AGES
from brainage_lib.imaging import grid
from brainage_lib.stats import tell_statements
from brainage_lib.tables import STATEMENTS

GRID = grid(4)
N = 24


@pytest.fixture(scope="module")
def regions():
    return atlas(GRID)


@pytest.fixture(scope="module")
def brain(regions):
    return regions.labels < len(regions.names) - 1


def test_regions_lie_where_anatomy_has_them(regions):
    def at(x, y, z):
        place = np.linalg.inv(GRID.affine) @ [x, y, z, 1]
        return regions.names[regions.labels[tuple(np.rint(place[:3]).astype(int))]]

    assert at(-26, -20, -16) == "medial temporal"
    assert at(-54, 22, 12) == at(50, 14, 16) == "inferior frontal"
    assert at(-6, 48, -8) == "medial prefrontal"
    assert at(-26, -16, 30) == "white matter"
    assert at(10, -18, 8) == "deep grey"
    assert 550 < regions.mask("white matter").sum() * 0.064 < 700


def test_an_even_map_has_each_regions_share_and_a_map_of_one_region_has_all_there(regions, brain):
    even = region_shares(np.full(GRID.shape, -2.0), brain, regions)
    sizes = [(regions.mask(name) & brain).sum() / brain.sum() for name in regions.names]
    np.testing.assert_allclose(even, sizes)
    one = region_shares(regions.mask("parietal").astype(float), brain, regions)
    assert one[regions.names.index("parietal")] == 1
    assert np.isnan(region_shares(np.zeros(GRID.shape), brain, regions)).all()


def test_a_map_on_another_grid_and_an_unknown_region_are_refused(regions, brain):
    with pytest.raises(WrongUsage, match="put all on one grid"):
        region_shares(np.ones(grid(3).shape), np.ones(grid(3).shape, bool), regions)
    with pytest.raises(WrongUsage, match="no region 'amygdala'"):
        regions.mask("amygdala")


def test_shares_are_means_with_intervals_of_participants_and_none_of_few():
    scans = pd.DataFrame(
        {"participant_id": [f"p{i // 2}" for i in range(20)] + ["q"],
         "decade": ["20–30"] * 20 + ["70–80"]}
    )  # fmt: skip
    rng = np.random.default_rng(0)
    first = np.append(np.repeat(rng.uniform(0.3, 0.7, 10), 2), 0.9)
    shares = np.column_stack([first, 1 - first])
    table = share_table(scans, shares, np.full((21, 2), 0.5), ["a", "b"], 2000, 1)
    rows = table.set_index(["decade", "region"])
    young = rows.loc["20–30", "a"]
    assert young["share"] == pytest.approx(first[:20].mean())
    assert young["n_participants"] == 10
    half = 1.96 * first[:20:2].std(ddof=1) / np.sqrt(10)
    assert young["high"] - young["low"] == pytest.approx(2 * half, rel=0.2)
    assert np.isnan(rows.loc["70–80", "a"]["low"])
    assert rows.loc[ALL_AGES, "a"]["n_scans"] == 21
    assert "30–40" not in set(table["decade"])


@pytest.fixture(scope="module")
def planted(regions, brain, tmp_path_factory):
    """Maps that do just what the paper says of T, and of A the contrary of it."""
    ages = np.r_[np.linspace(20, 39, N // 2), np.linspace(60, 90, N // 2)]
    scans = pd.DataFrame(
        {"scan_id": [f"s{i}" for i in range(N)], "participant_id": [f"p{i}" for i in range(N)],
         "fold": 0, "age": ages}
    )  # fmt: skip
    rng = np.random.default_rng(6)
    young = {"T": "medial prefrontal", "A": "medial temporal"}
    old = {"T": "inferior frontal", "A": "occipital"}
    found = {}
    for net in "TA":
        folder = tmp_path_factory.mktemp(net)
        with VolumeWriter(folder, GRID.shape) as writer:
            for scan, age in zip(scans["scan_id"], ages, strict=True):
                name = (young if age < 50 else old)[net]
                noise = rng.uniform(0.5, 1, GRID.shape)
                writer.add(scan, (noise + 6 * regions.mask(name)) * brain)
        found[net] = Maps(Look("signed-grad-cam", 1), scans, VolumeStore(folder), 1.0)
    sample = SimpleNamespace(grid=GRID, mode="sound", brain=lambda scan: brain)
    return {"T": sample, "A": sample}, found


@pytest.fixture(scope="module")
def tried(planted):
    return STATEMENTS.validate(try_statements(*planted, seed=0))


def test_what_was_planted_agrees_and_its_contrary_does_not(tried):
    said = tried.set_index(["net", "statement"])["outcome"]
    assert said["T", "medial prefrontal in the young"] == "agrees"
    assert said["T", "inferior frontal more in the old"] == "agrees"
    assert said["A", "medial prefrontal in the young"] == "does not agree"
    assert said["A", "medial temporal more in the old"] == "does not agree"
    assert said["T", "white matter"] == "does not agree"


def test_the_dentate_gyrus_is_refused_with_its_reason(tried):
    row = tried[tried["statement"].str.contains("dentate")].iloc[0]
    assert row["outcome"] == "not resolvable at this grid"
    assert "3 mm thick" in row["reason"]


def test_the_papers_layer_is_refused_every_region(planted):
    samples, found = planted
    coarse = {net: maps._replace(look=Look("grad-cam", 5)) for net, maps in found.items()}
    table = try_statements(samples, coarse, seed=0)
    about = table[table["finding"] >= 43]
    assert set(about["outcome"]) == {"not resolvable at this grid"}
    assert about["reason"].str.contains("64 mm").all()


def test_the_ledger_is_told_each_number_with_its_null(tried):
    told = tell_statements(tried)
    assert set(told) == {34, 41, 43, 44, 45, 46}
    assert "signed Grad-CAM of block 1 agrees (share of the map 0." in told[43]
    assert "by chance" in told[43]
    assert "dentate gyrus in particular: not resolvable at this grid (it is 3 mm" in told[44]


def test_ages_that_nobody_has_are_not_tested(planted):
    samples, found = planted
    young = {net: m._replace(scans=m.scans[m.scans["age"] < 50]) for net, m in found.items()}
    table = try_statements(samples, young, seed=0).set_index("statement")
    assert table.loc["inferior frontal more in the old", "outcome"] == "not tested"
