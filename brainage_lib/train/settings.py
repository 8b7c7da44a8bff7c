"""The numbers of a training, with their source, and the recipes that say what is trained."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass
from pathlib import Path

from brainage_lib.errors import WrongUsage

RECIPES = Path(__file__).with_name("recipes")

CHOICES = {
    "reads": ("t1w", "tissue"),
    "network": ("vgg8", "fcn"),
    "optimiser": ("adam", "adamw"),
    "schedule": ("constant", "one-cycle"),
    "loss": ("l1",),
    "augmentation": ("none", "place", "place-and-contrast"),
    "averaging": ("none", "ema"),
}
"""What a recipe may choose from."""

PRECISIONS = ("float32", "tf32", "bf16")

NUMBERS = ("epochs", "batch", "learning_rate")
"""What a recipe may set in place of the profile's number."""


@dataclass(frozen=True)
class TrainSettings:
    """How a network is trained; the defaults are the paper's (§2.4).

    Attributes
    ----------
    epochs : int
        At most so many; the paper has 100.
    patience : int
        Stop when the validation MAE has not improved for so many epochs; the paper has 10.
        That the MAE is the validation scans' is our reading.
    batch : int
        Scans in a step; the paper has 3.
    learning_rate : float
        The paper has 1e-4, constant; of a one-cycle schedule it is the largest.
    precision : {"float32", "tf32", "bf16"}
        The paper says nothing; float32 is PyTorch's default. The others are for speed.
    compile : bool
        Whether the network is compiled for its training; for speed, too.
    devices : int
        Devices that share each step's scans evenly; for speed, too.
    optimiser, schedule, loss, augmentation, averaging : str
        As in `CHOICES`. The paper: Adam on the mean absolute error in years, nothing else.
        Other numbers of an optimiser are PyTorch's defaults. With averaging, what is judged
        and kept is the moving average of the weights, at the end of all epochs.
    """

    epochs: int = 100
    patience: int = 10
    batch: int = 3
    learning_rate: float = 1e-4
    precision: str = "float32"
    compile: bool = False
    devices: int = 1
    optimiser: str = "adam"
    schedule: str = "constant"
    loss: str = "l1"
    augmentation: str = "none"
    averaging: str = "none"

    def __post_init__(self):
        findings = [
            f"{name}: {getattr(self, name)!r} is not possible; give a whole number of 1 or more"
            for name in ("epochs", "patience", "batch", "devices")
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1
        ]
        if not findings and self.batch % self.devices:
            findings.append(
                f"devices: {self.devices} cannot share a batch of {self.batch} evenly; "
                "give a number that divides it"
            )
        if not 0 < self.learning_rate < 1:
            findings.append(f"learning_rate: {self.learning_rate!r} is not between 0 and 1")
        findings += [
            f"{name}: {getattr(self, name)!r} is not possible; allowed: {', '.join(choices)}"
            for name, choices in {"precision": PRECISIONS, **CHOICES}.items()
            if getattr(self, name, choices[0]) not in choices
        ]
        if findings:
            raise WrongUsage("\n".join(["training settings:", *(f"  {f}" for f in findings)]))


@dataclass(frozen=True)
class Recipe:
    """What is trained and how.

    Attributes
    ----------
    name : str
        Name of the YAML file.
    description : str
        For tables and pages.
    reads : {"t1w", "tissue"}
        What the net T reads: the T1w itself, or the maps of grey matter, white matter and
        fluid that are made from it. The net A reads AICBV whatever the recipe.
    network, optimiser, schedule, loss, augmentation, averaging : str
        One of `CHOICES` each.
    epochs, batch, learning_rate : number, optional
        In place of the profile's; of epochs, at most the profile's.
    """

    name: str
    description: str
    reads: str
    network: str
    optimiser: str
    schedule: str
    loss: str
    augmentation: str
    averaging: str
    epochs: int | None = None
    batch: int | None = None
    learning_rate: float | None = None


def load_recipe(name: str, folder: Path = RECIPES) -> Recipe:
    """Read a recipe by its name.

    Parameters
    ----------
    name : str
        Name of a file in ``folder`` without ``.yml``.
    folder : path
        The library's own recipes unless given.

    Raises
    ------
    WrongUsage
        There is no such recipe, or it has an unknown, missing or impossible setting; each
        one is named with what is allowed.

    Examples
    --------
    >>> load_recipe("paper").network
    'vgg8'
    """
    import yaml

    path = Path(folder) / f"{name}.yml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in Path(folder).glob("*.yml")))
        raise WrongUsage(f"there is no recipe {name!r}; there are: {known}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WrongUsage(f"recipe {name}: not YAML: {error}") from None
    if not isinstance(values, dict):
        raise WrongUsage(f"recipe {name}: a recipe is a list of 'setting: value' lines")
    findings = _examine(values)
    if findings:
        raise WrongUsage("\n".join([f"recipe {name}:", *(f"  {line}" for line in findings)]))
    return Recipe(name=name, **values)


def _examine(values: dict) -> list[str]:
    allowed = [field.name for field in dataclasses.fields(Recipe) if field.name != "name"]
    findings = []
    for key in values:
        if key not in allowed:
            near = difflib.get_close_matches(str(key), allowed, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            findings.append(f"{key}: unknown setting{hint} (allowed: {', '.join(allowed)})")
    needed = [key for key in allowed if key not in NUMBERS]
    findings += [f"{key}: is missing" for key in needed if key not in values]
    for key, choices in CHOICES.items():
        if key in values and values[key] not in choices:
            findings.append(
                f"{key}: {values[key]!r} is not possible; allowed: {', '.join(choices)}"
            )
    for key, least in (("epochs", 1), ("batch", 2)):
        number = values.get(key, least)
        if not isinstance(number, int) or isinstance(number, bool) or number < least:
            findings.append(
                f"{key}: {number!r} is not possible; give a whole number of {least} or more"
            )
    rate = values.get("learning_rate", 0.5)
    if not isinstance(rate, float) or not 0 < rate < 1:
        findings.append(f"learning_rate: {rate!r} is not a number between 0 and 1")
    if not isinstance(values.get("description", ""), str):
        findings.append(f"description: {values['description']!r} is not a text")
    return findings
