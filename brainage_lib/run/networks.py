"""Which trainings a run has."""

from __future__ import annotations

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


def trained_pairs(profile: Profile) -> list[tuple[str, str]]:
    """List the pairs of recipe and mode that a profile trains, in its order.

    The paper mode is there to repeat the paper, with the paper's recipe: what another recipe
    does on a split that leaks answers no question.
    """
    return [
        (recipe, mode)
        for recipe in profile.recipes
        for mode in profile.modes
        if mode == "sound" or recipe == "paper"
    ]


def plan_networks(profile: Profile) -> list[NetworkKey]:
    """List the trainings that a profile asks for, in the order in which they run.

    The lowest seed is that of all nets; each further one is a second look at T1w (T′).
    """
    return [
        NetworkKey(recipe, mode, net, seed, fold)
        for recipe, mode in trained_pairs(profile)
        for seed in profile.seeds
        for fold in range(profile.folds if mode == "sound" else 1)
        for net in profile.nets
        if seed == min(profile.seeds) or net == "T"
    ]


class ShuffledKey(NetworkKey):
    """A training on shuffled ages: what maps look like where there was nothing to learn.

    It is no network of the run: nothing is predicted with it.
    """

    @property
    def place(self) -> str:
        """Where it lies below the run's ``networks``."""
        return f"{self.recipe}/{self.mode}/{self.net}-s{self.seed}-shuffled/{self.fold}"


def plan_shuffled(profile: Profile) -> list[ShuffledKey]:
    """List the trainings on shuffled ages that a profile asks for, of its headline's first fold."""
    recipe, mode = profile.headline["recipe"], profile.headline["mode"]
    return [
        ShuffledKey(recipe, mode, net, min(profile.seeds), 0)
        for net in profile.nets
        if net in profile.attribution.shuffled_nets
    ]
