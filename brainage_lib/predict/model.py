"""What a run learned, opened once for many scans."""

from __future__ import annotations

import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from brainage_lib.data import read_reference
from brainage_lib.data.reference import PLACE
from brainage_lib.errors import BadInput, WrongUsage
from brainage_lib.files import digest_file
from brainage_lib.models import AICBVGenerator
from brainage_lib.run import NetworkKey, Run, locate, recipe_reads
from brainage_lib.stats import load_model_json
from brainage_lib.stats.calibration import load_calibration_json
from brainage_lib.stats.model_file import ALL_FOLDS
from brainage_lib.train import aicbv, cohort

SHIPPED = Path(__file__).with_name("shipped")
"""Where networks lie that come with the package."""

DEVICES = ("auto", "cpu", "cuda")


def find_model(name: str | os.PathLike | None = None) -> Run:
    """Find the folder whose networks are to be asked.

    Parameters
    ----------
    name : path or str, optional
        A run, by its name or its folder, or a folder that `pack_model` made. The networks that
        come with the package unless given.

    Raises
    ------
    WrongUsage
        There is no such folder, or none comes with the package.
    """
    if name is None:
        if there_are_shipped():
            return Run(SHIPPED)
        raise WrongUsage(
            "no networks come with this version of Brain Age; say whose are to be asked with "
            "--model: a finished run (its name or folder), or a folder that "
            "`python -m brainage_lib.predict RUN FOLDER` packed"
        )
    folder = Path(name)
    return Run(folder if (folder / "profile.yml").is_file() else locate(name))


def there_are_shipped() -> bool:
    """Say whether networks come with this version of the package."""
    return (SHIPPED / "profile.yml").is_file()


class Model:
    """Generator, networks, stacking and calibration of a run, each opened when first asked.

    Of the folder only ``profile.yml``, ``cohort.json``, ``aicbv/weights.safetensors``, the
    headline's ``networks`` and ``stacking/*.json`` are read. The recipe and mode of the profile's
    headline are taken, and the lowest seed. A profile whose only net is T needs no generator.

    Parameters
    ----------
    run : Run
    device : {"auto", "cpu", "cuda"}
        Where networks are computed; a GPU if there is one unless said.

    Raises
    ------
    WrongUsage
        A GPU is asked for where there is none.
    """

    def __init__(self, run: Run, device: str = "auto"):
        if device not in DEVICES:
            raise WrongUsage(f"there is no device {device!r}; use one of {', '.join(DEVICES)}")
        if device == "cuda" and not torch.cuda.is_available():
            raise WrongUsage("no GPU is found; use --device cpu")
        self.run = run
        chosen = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
        self.device = torch.device(chosen)
        self._networks: dict[tuple[str, int], nn.Module] = {}

    @property
    def nets(self) -> tuple[str, ...]:
        """Nets that are asked: T and A, or T alone."""
        return tuple(net for net in ("T", "A") if net in self.run.profile.nets)

    @property
    def reads(self) -> str:
        """What T reads: "t1w" or "tissue"."""
        return recipe_reads(self.run.profile.headline["recipe"])

    @property
    def folds(self) -> list[int]:
        """Folds whose networks there are."""
        profile = self.run.profile
        return list(range(profile.folds)) if profile.headline["mode"] == "sound" else [0]

    def key(self, net: str, fold: int) -> NetworkKey:
        """Which training a network comes from."""
        main = self.run.profile.headline
        return NetworkKey(main["recipe"], main["mode"], net, min(self.run.profile.seeds), fold)

    def files(self) -> dict[str, str]:
        """Files that are read, by their place in the folder, with the chapter that makes each."""
        nets = [self.key(net, fold).place for net in self.nets for fold in self.folds]
        return {
            "profile.yml": "01",
            "cohort.json": "01",
            **({aicbv.WEIGHTS: "03"} if "A" in self.nets else {}),
            **{f"networks/{place}/weights.safetensors": "05" for place in nets},
            "stacking/model.json": "06",
            "stacking/calibration.json": "06",
            "/".join(PLACE): "06",
        }

    def check(self) -> None:
        """Look whether every file is there; BadInput names each that is not."""
        missing = [
            f"{name} is missing; run chapter {chapter}, which makes it"
            for name, chapter in self.files().items()
            if not self.run.path(name).is_file()
        ]
        if missing:
            raise BadInput(str(self.run.folder), missing)

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of every file that is read."""
        self.check()
        return {name: digest_file(self.run.path(name)) for name in self.files()}

    @property
    def digest(self) -> str:
        """One SHA-256 over all that decides a prediction, the same wherever the folder lies."""
        # The profile holds the path of a manifest; what it decides stands in `facts`.
        parts = {k: v for k, v in self.digests.items() if k not in ("profile.yml", "cohort.json")}
        text = repr((sorted(parts.items()), self.run.profile.grid_mm, self.run.profile.quality))
        return hashlib.sha256(text.encode()).hexdigest()

    def facts(self) -> dict[str, Any]:
        """Tell which networks these are, for a report."""
        profile = self.run.profile
        return {
            "sha256": self.digest,
            "source": self.run.source,
            "grid_mm": profile.grid_mm,
            **{name: profile.headline[name] for name in ("recipe", "mode")},
            "nets": list(self.nets),
            "reads": self.reads,
            "folds": len(self.folds),
            "n_scans": self.reference["n_scans"],
            "age_range": self.reference["age_range"],
        }

    @cached_property
    def generator(self) -> AICBVGenerator:
        """T1w to AICBV."""
        return aicbv.load_generator(self.run).to(self.device)

    def network(self, net: str, fold: int) -> nn.Module:
        """Network of a fold."""
        if (net, fold) not in self._networks:
            network = cohort.load_network(self.run, self.key(net, fold))
            self._networks[net, fold] = network.to(self.device)
        return self._networks[net, fold]

    def coefficients(self, fold: int | None) -> dict:
        """Stacking that was fitted on the folds other than ``fold``, or on all."""
        main = self.run.profile.headline
        fits = load_model_json(self.run.path("stacking", "model.json"))
        default = ALL_FOLDS if main["mode"] == "sound" else "0"
        found = fits[main["recipe"]][main["mode"]][main["fitted_on"]]
        return found[default if fold is None else str(fold)]

    @cached_property
    def calibration(self) -> dict | None:
        """Calibration by model of the stacking; None where no row was predicted out of fold."""
        main = self.run.profile.headline
        known = load_calibration_json(self.run.path("stacking", "calibration.json"))
        return known[main["recipe"]] if main["mode"] == "sound" else None

    @cached_property
    def reference(self) -> dict[str, Any]:
        """What the training scans were like (`read_reference`)."""
        return read_reference(self.run)
