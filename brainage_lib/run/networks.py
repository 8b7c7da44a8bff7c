"""Which trainings a run has."""

from __future__ import annotations

import itertools
from typing import NamedTuple

from brainage_lib.run.profile import Profile


class NetworkKey(NamedTuple):
    """One training of a run."""

    recipe: str
    mode: str
    net: str
    seed: int
    fold: int

    @property
    def place(self) -> str:
        """Where it lies below the run's ``networks``."""
        return f"{self.recipe}/{self.mode}/{self.net}-s{self.seed}/{self.fold}"


def plan_networks(profile: Profile) -> list[NetworkKey]:
    """List the trainings that a profile asks for, in the order in which they run."""
    return [
        NetworkKey(recipe, mode, net, seed, fold)
        for recipe, mode, seed in itertools.product(profile.recipes, profile.modes, profile.seeds)
        for fold in range(profile.folds if mode == "sound" else 1)
        for net in profile.nets
    ]
