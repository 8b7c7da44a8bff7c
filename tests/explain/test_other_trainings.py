"""Maps beside those of another seed and of shuffled ages, with networks that read known places."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from brainage_lib.errors import BadInput
from brainage_lib.explain import Look, Sample, try_maps
from brainage_lib.explain.trials import _networks
from brainage_lib.imaging import grid
from brainage_lib.run import Run

HERE, THERE = (slice(16, 22), slice(28, 36), slice(20, 28)), (slice(27, 33),) * 3
LOOK = Look("integrated-gradients")


class ReadsOnePlace(nn.Module):
    """Age is the brightness of one place."""

    def __init__(self, place):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Sequential(nn.Conv3d(1, 1, 1))])
        where = torch.zeros(grid(4).shape)
        where[place] = 1
        self.register_buffer("where", where)

    def forward(self, x):
        return 50 + (self.blocks[0](x)[:, 0] * self.where).sum(dim=(1, 2, 3))


@pytest.fixture
def asked(run):
    """The run, as if two seeds and a training on shuffled ages had been asked for."""
    other = Run(run.folder)
    attribution = run.profile.attribution.model_copy(update={"shuffled_nets": ["T", "A"]})
    settings = {"seeds": [0, 1], "attribution": attribution}
    other.__dict__["profile"] = run.profile.model_copy(update=settings)
    return other


def tried(run, net, monkeypatch, seed, shuffled):
    def planted(self, fold, **which):
        torch.manual_seed(fold)
        place = seed if "seed" in which else shuffled if "shuffled" in which else HERE
        return ReadsOnePlace(place).eval()

    monkeypatch.setattr(Sample, "network", planted)
    _, rows = _networks(Sample(run, net, "sound"), LOOK)
    return {row[0]: row for row in rows}


def test_a_seed_that_reads_the_same_agrees_and_shuffled_ages_change_the_map(asked, monkeypatch):
    rows = tried(asked, "T", monkeypatch, seed=HERE, shuffled=THERE)
    assert rows["seeds"][1] > 0.9
    assert abs(rows["labels"][1]) < 0.2
    assert rows["labels"][-1] == "passes"


def test_a_map_that_stays_when_ages_are_shuffled_fails(asked, monkeypatch):
    rows = tried(asked, "T", monkeypatch, seed=THERE, shuffled=HERE)
    assert rows["labels"][1] > 0.9
    assert rows["labels"][-1] == "fails"
    assert abs(rows["seeds"][1]) < 0.2
    assert rows["seeds"][-1] == "fails"


def test_further_seeds_train_t_alone(asked, monkeypatch):
    rows = tried(asked, "A", monkeypatch, seed=HERE, shuffled=THERE)
    assert rows["seeds"][-1] == "not run: one seed"
    assert np.isnan(rows["seeds"][1])
    assert rows["labels"][-1] == "passes"


def test_a_network_that_was_asked_for_and_is_not_there_is_named(asked):
    with pytest.raises(BadInput, match=r"T-s1/0/weights\.safetensors is missing"):
        try_maps(Sample(asked, "T", "sound"), [LOOK], None)
