"""One row of the ledger, and the printed numbers that the rows start from."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from brainage_lib.stats.paper import (
    paper_anova,
    paper_numbers,
    paper_table1,
    paper_table2,
    paper_table3,
)
from brainage_lib.tables import MODELS

KINDS = ("computed", "quoted")
"""Computed from printed numbers; quoted: about words, the reasoning is data."""


@dataclass(frozen=True)
class Finding:
    """A claim of the paper and what its own numbers make of it.

    Attributes
    ----------
    id : int
        1–46, as in the book.
    section : str
        Which part of the paper.
    claim : str
        In our words.
    printed : str
        The paper's number or wording.
    recomputed : str
        What follows from the printed numbers.
    verdict : str
        One of ``tables.VERDICTS``: holds; not reproducible, it cannot come from what is
        printed; contradicted, printed numbers or words say otherwise; unsupported, nothing
        printed tests it.
    reason : str
    kind : str
        One of `KINDS`.
    numbers : dict
        The values in ``recomputed``, unrounded.
    """

    id: int
    section: str
    claim: str
    printed: str
    recomputed: str
    verdict: str
    reason: str
    kind: str = "computed"
    numbers: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Printed:
    """Printed numbers in the form in which formulas take them."""

    mae: dict[str, float]
    mse: dict[str, float]
    r2: dict[str, float]
    p: dict[tuple[str, str], float]
    n_scans: int
    n_test: int
    n_validation: int
    sex: float
    sex_p: float
    ages: tuple[str, ...]
    by_age: dict[str, np.ndarray]
    projects: tuple[str, ...]
    by_project: dict[str, np.ndarray]
    number: dict[str, float]

    @property
    def n_fit(self) -> int:
        """Training and validation rows, on which the stacking was fitted."""
        return self.n_scans - self.n_test

    @property
    def n_train(self) -> int:
        """Training rows; the validation set is one of ten partitions."""
        return self.n_fit - self.n_validation

    @property
    def sd(self) -> dict[str, float]:
        """Root mean squared error by model, years."""
        return {model: math.sqrt(value) for model, value in self.mse.items()}


@cache
def printed() -> Printed:
    """Read the paper's numbers once."""
    first = paper_table1().set_index("model")
    numbers = paper_numbers()["value"].astype(float).to_dict()
    tests = paper_anova().set_index(["smaller", "larger"])["p"]
    by_age = paper_table2().pivot(index="age_group", columns="model", values="mae")
    ages = tuple(dict.fromkeys(paper_table2()["age_group"]))
    by_project = paper_table3().pivot(index="project", columns="model", values="mae")
    projects = tuple(dict.fromkeys(paper_table3()["project"]))
    n_scans = int(numbers["n_scans"])
    return Printed(
        mae=first["mae"].to_dict(),
        mse=first["mse"].to_dict(),
        r2=first["r2"].to_dict(),
        p=tests.to_dict(),
        n_scans=n_scans,
        n_test=int(numbers["n_test"]),
        n_validation=n_scans // int(numbers["partitions"]),
        sex=numbers["sex_coefficient"],
        sex_p=numbers["sex_p"],
        ages=ages,
        by_age={m: by_age.loc[list(ages), m].to_numpy() for m in MODELS},
        projects=projects,
        by_project={m: by_project.loc[list(projects), m].to_numpy() for m in MODELS},
        number=numbers,
    )


def percent(share: float, digits: int = 0) -> str:
    """Write a share as a percentage.

    Examples
    --------
    >>> percent(0.1010, 1)
    '10.1 %'
    """
    return f"{100 * share:.{digits}f} %"


def typeset(text: str) -> str:
    """Write negative numbers with a minus sign; exponents keep their hyphen.

    Examples
    --------
    >>> typeset("-0.31 to -0.03, p 3.3e-8")
    '−0.31 to −0.03, p 3.3e-8'
    """
    return re.sub(r"(?<!\w)-(?=\d)", "−", text)


def show_p(p: float) -> str:
    """Write a p value as a reader expects it.

    Examples
    --------
    >>> show_p(0.3217), show_p(3.27e-8), show_p(0.0203)
    ('0.32', '3.3e-8', '0.02')
    """
    if math.isnan(p):
        return "not defined"
    if p < 0.001:
        digits, exponent = f"{p:.1e}".split("e")
        return f"{digits}e{int(exponent)}"
    return f"{p:.3f}" if p < 0.01 else f"{p:.2f}"
