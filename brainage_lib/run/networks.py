"""Which trainings a run has."""

from __future__ import annotations

from typing import NamedTuple

from brainage_lib.errors import WrongUsage
from brainage_lib.run.profile import Profile, recipe_reads


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
        for net in (*profile.nets, *_second_nets(profile, recipe, mode))
        if seed == min(profile.seeds) or net == "T"
    ]


def _second_nets(profile: Profile, recipe: str, mode: str) -> list[str]:
    asked = mode == "sound" and recipe_reads(recipe) == "t1w"
    return list(profile.second_nets) if asked else []


def looked_at(profile: Profile, mode: str) -> str:
    """Name the recipe whose maps are made: a mode's first whose net T reads the T1w itself.

    Raises
    ------
    WrongUsage
        There is none.
    """
    for recipe, trained in trained_pairs(profile):
        if trained == mode and recipe_reads(recipe) == "t1w":
            return recipe
    raise WrongUsage(
        f"profile {profile.name}: no network of {mode} mode reads the T1w itself, so that there is "
        "nothing to look at; add a recipe that does, such as sound"
    )


class ShuffledKey(NetworkKey):
    """A training on shuffled ages: what maps look like where there was nothing to learn.

    It is no network of the run: nothing is predicted with it.
    """

    @property
    def place(self) -> str:
        """Where it lies below the run's ``networks``."""
        return f"{self.recipe}/{self.mode}/{self.net}-s{self.seed}-shuffled/{self.fold}"


def plan_shuffled(profile: Profile) -> list[ShuffledKey]:
    """List the trainings on shuffled ages that a profile asks for, of the headline's first fold.

    Their recipe is the one whose maps are made.
    """
    mode = profile.headline["mode"]
    return [
        ShuffledKey(looked_at(profile, mode), mode, net, min(profile.seeds), 0)
        for net in profile.nets
        if net in profile.attribution.shuffled_nets
    ]
