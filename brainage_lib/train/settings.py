"""The numbers of a training, with their source, and the recipes that say what is trained."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass
from pathlib import Path

from brainage_lib.errors import WrongUsage

RECIPES = Path(__file__).with_name("recipes")

CHOICES = {
    "network": ("vgg8",),
    "optimiser": ("adam",),
    "loss": ("l1",),
    "augmentation": ("none",),
    "averaging": ("none",),
}
"""What a recipe may choose from."""


@dataclass(frozen=True)
class TrainSettings:
    """Numbers of a VGG8 training; the defaults are the paper's (§2.4).

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
        Of Adam, constant; the paper has 1e-4. Adam's other numbers are PyTorch's defaults.
    precision : {"float32"}
        The paper says nothing; PyTorch's default.
    optimiser, loss : str
        As in `CHOICES`: Adam on the mean absolute error in years.
    """

    epochs: int = 100
    patience: int = 10
    batch: int = 3
    learning_rate: float = 1e-4
    precision: str = "float32"
    optimiser: str = "adam"
    loss: str = "l1"

    def __post_init__(self):
        findings = [
            f"{name}: {getattr(self, name)!r} is not possible; give a whole number of 1 or more"
            for name in ("epochs", "patience", "batch")
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1
        ]
        if not 0 < self.learning_rate < 1:
            findings.append(f"learning_rate: {self.learning_rate!r} is not between 0 and 1")
        findings += [
            f"{name}: {getattr(self, name)!r} is not possible; allowed: {', '.join(choices)}"
            for name, choices in {"precision": ("float32",), **CHOICES}.items()
            if getattr(self, name, choices[0]) not in choices
        ]
        if findings:
            raise WrongUsage("\n".join(["training settings:", *(f"  {f}" for f in findings)]))


@dataclass(frozen=True)
class Recipe:
    """What is trained and how, apart from numbers.

    Attributes
    ----------
    name : str
        Name of the YAML file.
    description : str
        For tables and pages.
    channels : int
        Volumes that the network reads together.
    network, optimiser, loss, augmentation, averaging : str
        One of `CHOICES` each.
    """

    name: str
    description: str
    channels: int
    network: str
    optimiser: str
    loss: str
    augmentation: str
    averaging: str


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
    findings += [f"{key}: is missing" for key in allowed if key not in values]
    for key, choices in CHOICES.items():
        if key in values and values[key] not in choices:
            findings.append(
                f"{key}: {values[key]!r} is not possible; allowed: {', '.join(choices)}"
            )
    channels = values.get("channels", 1)
    if not isinstance(channels, int) or isinstance(channels, bool) or channels < 1:
        findings.append(f"channels: {channels!r} is not possible; give a whole number")
    if not isinstance(values.get("description", ""), str):
        findings.append(f"description: {values['description']!r} is not a text")
    return findings
