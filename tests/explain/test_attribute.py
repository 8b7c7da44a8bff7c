"""Maps of a run's test scans: by unseen networks, averaged as one would by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from brainage_lib.data import VolumeStore
from brainage_lib.errors import BadInput
from brainage_lib.explain import (
    attribute,
    cohort,
    grad_cam,
    group_maps,
    mass_outside,
    overlap,
    overlap_table,
    top_fifth,
)
from brainage_lib.imaging import grid
from brainage_lib.models import VGG8, network_facts, restore, save_weights

SHAPE = grid(4).shape
SCANS = 10


def scan_id(number):
    return f"s{number:02d}"


def weights_of(run, net, fold):
    return run.network_folder("paper", "sound", net, 0, fold) / "weights.safetensors"


@pytest.fixture(scope="module")
def found(run):
    return attribute(run, "T", "sound")


def maps_by_hand(run, fold):
    """Maps and brains of a fold's test scans, and the decade of each."""
    network = VGG8(SHAPE)
    restore(network, weights_of(run, "T", fold))
    numbers = range(fold, SCANS, 2)
    store = VolumeStore(run.path("volumes", "t1w"))
    volumes = store.array(scan_id(number) for number in numbers)
    decades = ["20–30" if number < 5 else "30–40" for number in numbers]
    return grad_cam(network, volumes), volumes > 0, decades


def test_maps_agree_with_those_made_at_once_by_the_network_that_tested_each_scan(run, found):
    total = {"20–30": 0, "30–40": 0}
    for fold in range(2):
        maps, brains, decades = maps_by_hand(run, fold)
        groups = group_maps(maps, brains, decades)
        sums = {label: group.mean * group.n_scans for label, group in groups.items()}
        scale = sum(each.sum() for each in sums.values()) / brains.sum()
        for label in total:
            total[label] += sums[label] / scale
    for label, n in (("20–30", 5), ("30–40", 5)):
        group = found.groups[label]
        assert group.n_scans == n
        np.testing.assert_allclose(group.mean, total[label] / n, rtol=2e-3, atol=1e-4)


def test_networks_count_alike_whatever_the_scale_of_their_gradients(run, found):
    weights = weights_of(run, "T", 0)
    before = weights.read_bytes()
    network = VGG8(SHAPE)
    restore(network, weights)
    with torch.no_grad():
        network.last.weight *= 100
    save_weights(network, weights, network_facts(network))
    try:
        louder = attribute(run, "T", "sound")
    finally:
        weights.write_bytes(before)
    for label, group in found.groups.items():
        np.testing.assert_allclose(louder.groups[label].mean, group.mean, rtol=2e-3, atol=1e-4)


def test_the_table_says_how_many_where_and_how_much_lies_outside(run, found):
    table = found.table.set_index("decade")
    assert table["n_scans"].to_dict() == {"20–30": 5, "30–40": 5}
    assert table["small"].all()
    shares = []
    for fold in range(2):
        maps, brains, decades = maps_by_hand(run, fold)
        outside = mass_outside(maps, brains)
        shares += [share for share, label in zip(outside, decades, strict=True) if label[0] == "2"]
    assert table.loc["20–30", "mass_outside"] == pytest.approx(np.mean(shares), abs=1e-6)
    first, step = grid(4).affine[2, 3], 4
    axial = (table.loc["20–30", "axial"] - first) / step
    assert axial == found.groups["20–30"].slices[2]


def test_each_group_stands_over_its_own_mean_scan(run, found):
    store = VolumeStore(run.path("volumes", "t1w"))
    old = store.array(scan_id(number) for number in range(5, SCANS)).astype(np.float32)
    np.testing.assert_allclose(found.t1w["30–40"], old.mean(axis=0), atol=1e-3)


def test_a_fold_shows_the_top_fifth_of_what_its_own_network_saw(run, found):
    by_hand = [maps_by_hand(run, fold) for fold in range(2)]
    brain = np.mean([mask for _, brains, _ in by_hand for mask in brains], axis=0) >= 0.5
    for (maps, brains, _), fold in zip(by_hand, found.folds, strict=True):
        kept = [top_fifth(*pair) for pair in zip(maps, brains, strict=True)]
        assert overlap(top_fifth(np.mean(kept, axis=0), brain), fold) > 0.99
    assert found.fold_overlap == overlap(*found.folds)


def test_overlaps_compare_two_kinds_with_two_trainings_of_one_kind(run, found):
    other = attribute(run, "A", "sound")
    table = overlap_table({"T": found, "A": other}).set_index(["pair", "where"])["overlap"]
    same = np.mean([overlap(*pair) for pair in zip(found.folds, other.folds, strict=True)])
    assert table["T and A, same people", "all ages"] == pytest.approx(same)
    assert table["two of A, other people", "all ages"] == overlap(*other.folds)
    young = overlap(found.groups["20–30"].top, other.groups["20–30"].top)
    assert table["T and A, same people", "20–30 years"] == young
    assert len(table) == 5
    assert (overlap_table({"T": found, "A": found})["overlap"][[0, 3, 4]] == 1).all()


def test_nothing_is_computed_again_until_a_network_changes(run, found, monkeypatch):
    attribute(run, "T", "sound")  # after the tests that exchanged weights

    def fail(*arguments):
        raise AssertionError("computed again")

    monkeypatch.setattr(cohort, "grad_cam", fail)
    again = attribute(run, "T", "sound")
    np.testing.assert_array_equal(again.groups["20–30"].top, found.groups["20–30"].top)
    pd.testing.assert_frame_equal(again.table, found.table)
    weights = weights_of(run, "T", 1)
    before = weights.read_bytes()
    network = VGG8(SHAPE)
    save_weights(network, weights, network_facts(network))
    try:
        with pytest.raises(AssertionError, match="computed again"):
            attribute(run, "T", "sound")
    finally:
        weights.write_bytes(before)


def test_a_run_that_was_stopped_goes_on_with_the_fold_that_it_was_in(run, found, monkeypatch):
    weights = weights_of(run, "T", 0)
    before = weights.read_bytes()
    network = VGG8(SHAPE)
    save_weights(network, weights, network_facts(network))
    made = []

    def stops_in_the_second_fold(model, volumes, *arguments):
        made.append(len(volumes))
        if sum(made) > 5:
            raise KeyboardInterrupt
        return grad_cam(model, volumes, *arguments)

    try:
        whole = attribute(run, "T", "sound")
        expected = whole.table.copy(), whole.groups["30–40"].mean
        run.path("attribution", "sound", "T", "map.npy").unlink()
        monkeypatch.setattr(cohort, "grad_cam", stops_in_the_second_fold)
        with pytest.raises(KeyboardInterrupt):
            attribute(run, "T", "sound")
        made.clear()
        monkeypatch.setattr(
            cohort, "grad_cam", lambda m, v, *more: made.append(len(v)) or grad_cam(m, v, *more)
        )
        again = attribute(run, "T", "sound")
        assert sum(made) == 5
        pd.testing.assert_frame_equal(again.table, expected[0])
        np.testing.assert_array_equal(again.groups["30–40"].mean, expected[1])
        assert not list(run.path("attribution", "sound", "T").glob("*.npz"))
    finally:
        weights.write_bytes(before)
        monkeypatch.undo()
        attribute(run, "T", "sound")


def test_a_network_that_is_not_there_is_named(run):
    with pytest.raises(BadInput, match=r"networks/paper/sound/A-s0/1/weights\.safetensors"):
        weights = weights_of(run, "A", 1)
        hidden = weights.with_suffix(".hidden")
        weights.rename(hidden)
        try:
            attribute(run, "A", "sound")
        finally:
            hidden.rename(weights)
