"""The settings of a run. A misspelt or impossible one is an error that names what is allowed."""

from __future__ import annotations

import difflib
import os
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from brainage_lib.errors import WrongUsage

RECIPES = Path(__file__).resolve().parents[1] / "train" / "recipes"

SHIPPED = "shipped"
"""In place of a file of weights: those that come with the package."""

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GeneratorSettings(_Settings):
    """How AICBV is made: by a generator that the run trains, or by weights that are there.

    Attributes
    ----------
    size : {"demo", "lite", "paper"}
        Width of the network; the structure is the same (reference: layer table in the book).
    orders : {"hilbert+snake", "snake4"}
        How the state space walks through a patch; snake4 is what the published relative runs.
    patch : int
        Side of a patch in voxels, a multiple of 16.
    overlap : float
        Share of a patch that neighbours share at inference.
    weights : str, optional
        ``shipped``, or the path of a file of weights for the run's grid. Nothing is trained
        then, and none of what follows may be given.
    people : int
        Simulated people, outside any cohort, on whom it is trained.
    pairs : str
        Instead of people: a table of scans before and after contrast (``pre``, ``post``).
    steps, batch, learning_rate
        Training steps, patches a step, AdamW's rate.
    checkpointing : bool
        Compute the bottleneck twice in a training step, which saves memory on a card.
    precision : {"float32", "tf32"}
        Of convolutions and products in training; tf32 is faster on cards that have it.
    """

    size: Literal["demo", "lite", "paper"]
    orders: Literal["hilbert+snake", "snake4"] = "hilbert+snake"
    patch: Annotated[int, Field(gt=0, multiple_of=16)]
    overlap: Annotated[float, Field(ge=0, lt=1)]
    weights: str | None = None
    people: Positive | None = None
    pairs: str | None = None
    steps: Positive | None = None
    batch: Positive | None = None
    learning_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    checkpointing: bool = False
    precision: Literal["float32", "tf32"] = "float32"

    @model_validator(mode="after")
    def _trained_once(self) -> GeneratorSettings:
        training = ("steps", "batch", "learning_rate")
        given = [name for name in ("people", "pairs", *training) if getattr(self, name) is not None]
        if self.weights is not None:
            if given:
                raise ValueError(
                    f"{', '.join(given)}: nothing is trained where weights are given; remove it, "
                    "or remove weights"
                )
            return self
        missing = [name for name in training if name not in given]
        if ("people" in given) == ("pairs" in given):
            missing.insert(0, "people or pairs (one of them)")
        if missing:
            raise ValueError(f"a generator that is to be trained needs {', '.join(missing)}")
        return self


class PreprocessingSettings(_Settings):
    """How scans come to MNI152.

    Attributes
    ----------
    register_again : bool
        Whether brains that are said to be in MNI152 are corrected for their bias field and
        registered again, from where they lie. Scans in native space always are.
    """

    register_again: bool = False


class QualitySettings(_Settings):
    """Limits of the quality verdict; none of them depends on age.

    Attributes
    ----------
    brain_ml : (float, float)
        A brain volume outside is dropped.
    template_correlation : float
        Correlation with the MNI152 template under which a scan is dropped.
    template_correlation_look : float
        Under this one it gets the verdict "look".
    edge_fraction : float
        Share of the template's inner brain that may be empty; above it the scan is dropped
        (cut off, or out of place).
    turn_degrees : float
        A scan that would have to be turned by more to look like the template is dropped.
    look : {"keep", "drop"}
        What becomes of the scans with the verdict "look".
    """

    brain_ml: tuple[float, float] = (700.0, 2500.0)
    template_correlation: Fraction = 0.6
    template_correlation_look: Fraction = 0.7
    edge_fraction: Fraction = 0.08
    turn_degrees: Annotated[float, Field(ge=0, le=180)] = 15.0
    look: Literal["keep", "drop"] = "keep"


class AttributionSettings(_Settings):
    """Which maps chapter 08 makes.

    Attributes
    ----------
    methods : list of str
        ``grad-cam`` (always made: Fig. 4), ``signed-grad-cam``, ``integrated-gradients``,
        ``smoothgrad``, ``occlusion``.
    block : int
        The convolution block whose map is taken, 1–5; the paper takes the fifth.
    sample : int
        Test scans, spread over all ages, whose maps are kept and tested. Fig. 4 has them all.
    slow_sample : int
        The same for methods that go through the network many times a scan.
    shuffled_nets : list of {"T", "A"}
        Networks that are trained once more, on shuffled ages (of one fold): a map that stays as
        it is then does not show what was learned. None unless given.
    shuffled_epochs : int, optional
        Epochs of these trainings, at most; as the other trainings unless given.
    """

    methods: list[
        Literal["grad-cam", "signed-grad-cam", "integrated-gradients", "smoothgrad", "occlusion"]
    ] = ["grad-cam", "signed-grad-cam", "integrated-gradients", "smoothgrad", "occlusion"]
    block: Annotated[int, Field(ge=1, le=5)] = 5
    sample: Annotated[int, Field(ge=2)] = 90
    slow_sample: Annotated[int, Field(ge=2)] = 12
    shuffled_nets: list[Literal["T", "A"]] = []
    shuffled_epochs: Positive | None = None


class Profile(_Settings):
    """What a run does. Fields as in the guide "how a run is set up".

    Attributes
    ----------
    name : str
        Name of the profile.
    cohort : str
        Path of the manifest; relative to the working directory.
    grid_mm : {1, 2, 3, 4}
        Voxel size of the run's MNI152 grid.
    modes : list of {"paper", "sound"}
        Scan-level split with in-sample stacking as in the paper; participant-level with
        out-of-fold stacking.
    patients : {"as-they-come", "apart"}
        Whether the paper mode trains on patients. The sound mode never does.
    recipes : list of str
        Training recipes (YAML files of the train room). The paper mode is trained with the
        recipe ``paper`` alone.
    nets, seeds, folds
        Networks (T: T1w, A: AICBV), their seeds, and folds of the sound mode. The lowest seed is
        that of all nets; each further one trains T alone, as a second look at T1w (T′).
    second_nets : list of {"F", "M"}
        Further networks of the sound mode, for the control ladder alone: on a fixed transform of
        the T1w (dark and bright exchanged), on tissue maps made from it. Trained by recipes
        whose net T reads the T1w itself.
    epochs, patience, batch, learning_rate
        Limits and numbers of the training, where a recipe has none of its own; the paper has
        100, 10, 3, 1e-4. No recipe trains for more epochs.
    precision : {"float32", "tf32", "bf16"}
        Of the networks' training. Only "float32" is as the paper; "tf32" rounds the factors of
        products to 10 bits on a GPU that can, "bf16" computes in bfloat16 where PyTorch holds
        that safe.
    compile : bool
        Whether the networks are compiled for their training (``torch.compile``). Other sums, so
        that the last bits differ.
    generator, preprocessing, quality, attribution
        Settings of their steps.
    bootstrap : int
        Replicates of the participant-cluster bootstrap.
    seed : int
        Of everything that is random but the networks.
    device : str
        Where networks are trained: "auto" (a GPU if there is one), "cpu", "cuda", or one GPU,
        such as "cuda:1".
    devices : int
        Devices that share one training: so many GPUs, or processes of the CPU. Each takes its
        share of a step's scans, so that it has to divide ``batch``. Only 1 is as the paper.
    workers : int
        Processes that prepare scans.
    scans_a_job : int
        Scans that a job of its own prepares, and another synthesises, so that several computers
        can share them. With 0 the chapters do all of it themselves. The files are the same.
    recorded : str
        Which recorded run the book shows beside this one: a folder of ``book/recorded``.
        ``none`` shows none, and a folder that does not exist means "not recorded yet".
    """

    name: str
    cohort: str
    grid_mm: Literal[1, 2, 3, 4]
    modes: Annotated[list[Literal["paper", "sound"]], Field(min_length=1)]
    patients: Literal["as-they-come", "apart"] = "as-they-come"
    recipes: Annotated[list[str], Field(min_length=1)] = ["paper"]
    nets: list[Literal["T", "A"]] = ["T", "A"]
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] = [0]
    second_nets: list[Literal["F", "M"]] = []
    folds: Annotated[int, Field(ge=2)]
    epochs: Positive
    patience: Positive
    batch: Annotated[int, Field(ge=2)]
    learning_rate: Annotated[float, Field(gt=0, lt=1)]
    precision: Literal["float32", "tf32", "bf16"] = "float32"
    compile: bool = False
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    devices: Positive = 1
    generator: GeneratorSettings
    preprocessing: PreprocessingSettings = PreprocessingSettings()
    quality: QualitySettings = QualitySettings()
    attribution: AttributionSettings = AttributionSettings()
    bootstrap: Positive = 10_000
    seed: Annotated[int, Field(ge=0)] = 2026
    workers: Positive = 2
    scans_a_job: Annotated[int, Field(ge=0)] = 0
    recorded: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")] = "oas1"

    @field_validator("recipes")
    @classmethod
    def _recipes_are_there(cls, recipes: list[str]) -> list[str]:
        # Found out now, not after the chapters that come before the training.
        known = sorted(path.stem for path in RECIPES.glob("*.yml"))
        unknown = ", ".join(repr(name) for name in recipes if name not in known)
        if unknown:
            raise ValueError(f"there is no recipe {unknown}; there are: {', '.join(known)}")
        return recipes

    @model_validator(mode="after")
    def _paper_mode_has_its_recipe(self) -> Profile:
        if "paper" in self.modes and "paper" not in self.recipes:
            raise ValueError("the paper mode is trained with the recipe paper; add it to recipes")
        return self

    @model_validator(mode="after")
    def _steps_can_be_shared(self) -> Profile:
        if self.devices == 1:
            return self
        if ":" in self.device:
            raise ValueError(f"device {self.device} is one GPU; with devices {self.devices}, cuda")
        for name in self.recipes:
            own = yaml.safe_load((RECIPES / f"{name}.yml").read_text(encoding="utf-8"))
            batch = own.get("batch", self.batch)
            if batch % self.devices:
                raise ValueError(
                    f"{self.devices} devices cannot share the {batch} scans of a step of the "
                    f"recipe {name} evenly; give devices that divide {batch}, or another batch"
                )
        return self

    @property
    def reads_tissue(self) -> bool:
        """Whether a network of the profile reads tissue maps."""
        return "M" in self.second_nets or any(
            recipe_reads(name) == "tissue" for name in self.recipes
        )

    @property
    def for_speed(self) -> tuple[str, ...]:
        """What departs from the paper's arithmetic for the sake of speed, in words."""
        return tuple(
            word
            for word, on in (
                (f"precision {self.precision}", self.precision != "float32"),
                ("compiled networks", self.compile),
                (f"{self.devices} devices a training", self.devices > 1),
            )
            if on
        )

    @property
    def headline(self) -> dict[str, str]:
        """The kind of result that a page's first sentence speaks of.

        By participant and out of fold where the run has that mode, the first recipe that is
        trained in it.
        """
        sound = "sound" in self.modes
        return {
            "recipe": self.recipes[0] if sound else "paper",
            "mode": "sound" if sound else "paper",
            "fitted_on": "out-of-fold" if sound else "in-sample",
        }


@cache
def recipe_reads(recipe: str) -> str:
    """Say what the net T of a recipe reads, "t1w" or "tissue".

    The other settings of a recipe are the train room's.
    """
    return yaml.safe_load((RECIPES / f"{recipe}.yml").read_text(encoding="utf-8"))["reads"]


def load_profile(source: str | os.PathLike) -> Profile:
    """Read a profile.

    Parameters
    ----------
    source : path
        A YAML file.

    Raises
    ------
    WrongUsage
        The file is missing, or a setting is unknown or impossible; each one is named with
        what is allowed.
    """
    source = Path(source)
    if not source.is_file():
        known = sorted(path.stem for path in source.parent.glob("*.yml"))
        hint = f"; there are: {', '.join(known)}" if known else ""
        raise WrongUsage(f"there is no profile {source}{hint}")
    try:
        values = yaml.safe_load(source.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WrongUsage(f"{source}: not YAML: {error}") from None
    if not isinstance(values, dict):
        raise WrongUsage(f"{source}: a profile is a list of 'setting: value' lines")
    try:
        return Profile.model_validate({"name": source.stem, **values})
    except ValidationError as error:
        lines = [_explain(finding) for finding in error.errors()]
        raise WrongUsage("\n".join([f"{source}:", *(f"  {line}" for line in lines)])) from None


def _explain(finding: dict) -> str:
    # Places in a list, and the kinds of a union, say nothing to whoever wrote the file.
    place = ".".join(part for part in finding["loc"] if isinstance(part, str))
    if finding["type"] == "extra_forbidden":
        model: type[BaseModel] = Profile
        for part in finding["loc"][:-1]:
            model = model.model_fields[str(part)].annotation
        allowed = sorted(model.model_fields)
        near = difflib.get_close_matches(str(finding["loc"][-1]), allowed, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"{place}: unknown setting{hint} (allowed: {', '.join(allowed)})"
    if finding["type"] == "missing":
        return f"{place}: is missing"
    if finding["type"] == "value_error":
        return ": ".join(filter(None, [place, str(finding["ctx"]["error"])]))
    message = finding["msg"].removeprefix("Input should be ")
    if place == "batch" and finding["type"] == "greater_than_equal":
        message += ": batch normalisation takes the spread within a batch"
    return f"{place}: {finding['input']!r} is not possible; it should be {message}"
