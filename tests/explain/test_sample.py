"""Maps of a sample: made in small pieces, continued after a stop, put to the test."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from brainage_lib.data import VolumeStore
from brainage_lib.errors import WrongUsage
from brainage_lib.explain import Look, Sample, finest_block, looks_of, sample, try_maps
from brainage_lib.explain.trials import STEPS, resolvable
from brainage_lib.imaging import grid

LOOK = Look("signed-grad-cam", 3)


def pretend(calls, fail_after=None):
    """A mapper that is quick, and says how much it was asked for at once."""

    def mapper(model, volumes):
        calls.append(len(volumes))
        if fail_after is not None and len(calls) > fail_after:
            raise KeyboardInterrupt
        return np.stack([np.asarray(volume, np.float32) ** 2 for volume in volumes])

    return mapper


def test_maps_are_made_a_few_at_a_time_and_a_stopped_run_goes_on(run, monkeypatch):
    calls = []
    monkeypatch.setattr(Sample, "mapper", lambda self, look: pretend(calls))
    whole = Sample(run, "T", "sound").make(LOOK)
    expected = {scan: np.array(whole.store[scan]) for scan in whole.scans["scan_id"]}
    assert max(calls) <= sample.ROWS
    assert sum(calls) == len(expected) == 10

    # As if the run had been killed after its first shard.
    folder = Sample(run, "T", "sound").folder(LOOK)
    (folder / "complete.json").unlink()
    for shard in (folder / "001.npy", folder / "002.npy"):
        shard.unlink()
    again = []
    monkeypatch.setattr(Sample, "mapper", lambda self, look: pretend(again))
    continued = Sample(run, "T", "sound").make(LOOK)
    assert sum(again) == 10 - sample.ROWS
    for scan, volume in expected.items():
        np.testing.assert_array_equal(continued.store[scan], volume)

    Sample(run, "T", "sound").make(LOOK)
    assert sum(again) == 10 - sample.ROWS


def test_maps_have_the_mean_one_within_the_brain_and_come_from_the_fold_that_tested(run):
    made = Sample(run, "A", "sound").make(Look("signed-grad-cam", 4))
    one = Sample(run, "A", "sound")
    for scan in made.scans["scan_id"].iloc[[0, -1]]:
        values = np.abs(made.store[scan][one.brain(scan)].astype(np.float32))
        assert values.mean() == pytest.approx(1, rel=1e-2)
    assert (made.scans["fold"] == made.scans["scan_id"].str[1:].astype(int) % 2).all()
    with pytest.raises(WrongUsage, match="no scan in this group"):
        made.mean([])


def test_the_finest_block_is_one_that_passes_for_every_network():
    rows = [
        (net, "signed-grad-cam", block, layer, value, 6)
        for net, last in (("T", [0.8, 0.1, 0.2]), ("A", [0.1, 0.7, 0.3]))
        for block, end in enumerate(last, start=1)
        for layer, value in (("last", 0.9), ("blocks.0.0", end))
    ]
    assert finest_block(pd.DataFrame(rows, columns=STEPS)) == 3
    failing = pd.DataFrame(rows, columns=STEPS).assign(similarity=0.9)
    assert finest_block(failing) is None


def test_the_papers_layer_is_always_looked_at_and_called_too_coarse(run):
    looks = looks_of(run, 2)
    assert looks[0] == Look("grad-cam", 5)
    assert Look("signed-grad-cam", 2) in looks
    assert not resolvable(looks[0], 4)
    assert resolvable(Look("signed-grad-cam", 2), 4)
    assert resolvable(Look("grad-cam", 5), 1)
    assert resolvable(Look("occlusion"), 4)


def test_a_map_of_the_image_alone_is_shown_as_failing(run, monkeypatch):
    monkeypatch.setattr(Sample, "mapper", lambda self, look: pretend([]))
    truth = np.zeros(grid(4).shape, bool)
    truth[20:28, 28:36, 20:28] = True
    found = try_maps(Sample(run, "A", "sound"), [Look("signed-grad-cam", 1)], truth)
    said = found.table.set_index("test")["verdict"]
    assert said["randomised"] == "fails"
    assert said["trainings"] == "fails"
    assert said["outside"] == "passes"
    assert said["seeds"] == "not run: one seed"
    assert said["labels"] == "not run: no network of shuffled ages"
    assert found.table.set_index("test")["value"]["randomised"] == pytest.approx(1)
    coarse = try_maps(Sample(run, "A", "sound"), [Look("grad-cam", 5)], truth)
    said = coarse.table.set_index("test")["verdict"]
    assert said["mass"] == said["rank"] == "not resolvable at this grid"
    assert VolumeStore(Sample(run, "A", "sound").folder(Look("grad-cam", 5))).shape == truth.shape
