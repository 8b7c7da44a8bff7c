"""What is committed of a run on real scans: its tables, none of them with a single person.

A group of few people keeps its row, with ``hidden`` set and every number of it empty
(`brainage_lib.stats.disclosure` says which groups that are).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from pandera.pandas import Check, Column, DataFrameSchema

from brainage_lib.files import read_json
from brainage_lib.tables.choose import choose
from brainage_lib.tables.files import read_table
from brainage_lib.tables.schemas import (
    AICBV_SCORES,
    ANOVA,
    ATTRIBUTION,
    COEFFICIENTS,
    DECADES,
    LADDER,
    MODELS,
    SPLIT_SCORES,
    STATEMENTS,
    TABLE1,
    TABLE2,
    TABLE3,
)

CARD = "card.json"


def _text(**keywords) -> Column:
    return Column(str, coerce=True, **keywords)


def _number(unit: str) -> Column:
    return Column(float, coerce=True, nullable=True, metadata={"unit": unit})


def _count() -> Column:
    """Make a column of counts that may be hidden."""
    return Column("Int64", Check.ge(0), coerce=True, nullable=True, metadata={"unit": "count"})


def _decade() -> Column:
    return Column(str, Check.isin(DECADES), coerce=True)


def _hidden() -> Column:
    return Column(bool, coerce=True)


def _schema(name: str, columns: dict[str, Column], key: list[str]) -> DataFrameSchema:
    return DataFrameSchema(columns, name=name, strict=True, unique=key)


def _grouped(schema: DataFrameSchema, *counts: str) -> DataFrameSchema:
    """Take a run's table of groups, of which some may be hidden; ``counts`` are added to it."""
    columns = {}
    for name, column in schema.columns.items():
        if name in schema.unique:
            columns[name] = column
        elif str(column.dtype) == "int64":
            columns[name] = _count()
        elif str(column.dtype) == "float64":
            columns[name] = _number((column.metadata or {}).get("unit", ""))
        else:
            columns[name] = column
    columns |= {name: _count() for name in counts} | {"hidden": _hidden()}
    return _schema(f"recorded {schema.name}", columns, list(schema.unique))


_KIND = {
    "recipe": _text(),
    "mode": TABLE1.columns["mode"],
    "fitted_on": TABLE1.columns["fitted_on"],
    "model": Column(str, Check.isin(MODELS), coerce=True),
}
_NETWORK = {
    "recipe": _text(),
    "mode": TABLE1.columns["mode"],
    "net": _text(),
    "seed": Column(int, Check.ge(0), coerce=True),
}
_SIZES = {"n_scans": _count(), "n_participants": _count()}
_MAE = {name: _number("years") for name in ("mae", "mae_low", "mae_high")}

RECORDED: dict[str, DataFrameSchema] = {
    "table1": TABLE1,
    "anova": ANOVA,
    "coefficients": COEFFICIENTS,
    "differences": _schema(
        "recorded differences",
        {
            **{name: _KIND[name] for name in ("recipe", "mode", "fitted_on")},
            "first": _KIND["model"],
            "second": _KIND["model"],
            **_SIZES,
            **{name: _number("years") for name in ("difference", "low", "high")},
            **{name: _number("0–1") for name in ("p", "p_holm")},
        },
        ["recipe", "mode", "fitted_on", "first", "second"],
    ),
    "table2": _grouped(TABLE2),
    "table3": _grouped(TABLE3),
    "ladder": LADDER,
    "ledger": _schema(
        "recorded ledger",
        {"recipe": _text(), "id": Column(int, Check.ge(0), coerce=True), "this_run": _text()},
        ["recipe", "id"],
    ),
    # Before stacking; guess_mae is the error of saying the tested people's median age of all.
    "networks": _schema(
        "recorded networks",
        {**_NETWORK, **_SIZES, **_MAE, "guess_mae": _number("years")},
        list(_NETWORK),
    ),
    "trainings": _schema(
        "recorded trainings",
        {
            **_NETWORK,
            "fold": Column(int, Check.ge(0), coerce=True),
            **{name: _count() for name in ("n_train", "n_validation", "epochs", "best_epoch")},
            "validation_mae": _number("years"),
            "hidden": _hidden(),
        },
        [*_NETWORK, "fold"],
    ),
    # Controls by decade and sex; of a count that is missing there are none or too few.
    "cohort": _schema(
        "recorded cohort",
        {
            "who": Column(str, Check.isin(("controls", "patients")), coerce=True),
            "decade": Column(str, Check.isin((*DECADES, "all")), coerce=True),
            "sex": Column(str, Check.isin(("F", "M", "all")), coerce=True),
            **_SIZES,
        },
        ["who", "decade", "sex"],
    ),
    "quality": _schema(
        "recorded quality",
        {"verdict": _text(), **_SIZES, "hidden": _hidden()},
        ["verdict"],
    ),
    "split_scores": _grouped(SPLIT_SCORES),
    # Mean and SD over simulated people; real ones have no truth.
    "aicbv_scores": _schema(
        "recorded AICBV scores",
        {
            **{name: AICBV_SCORES.columns[name] for name in ("predictor", "region", "measure")},
            "n_scans": _count(),
            "value": _number("see measure"),
            "sd": _number("see measure"),
        },
        ["predictor", "region", "measure"],
    ),
    "error_quantiles": _schema(
        "recorded error quantiles",
        {
            **_KIND,
            "decade": _decade(),
            **_SIZES,
            **{name: _number("years") for name in ("q05", "q25", "q50", "q75", "q95")},
            "hidden": _hidden(),
        },
        [*_KIND, "decade"],
    ),
    # Scans by decade of age and of predicted age; a missing count is none, or too few.
    "age_density": _schema(
        "recorded age density",
        {**_KIND, "decade": _decade(), "predicted_decade": _decade(), "n_scans": _count()},
        [*_KIND, "decade", "predicted_decade"],
    ),
    "attribution": _grouped(ATTRIBUTION, "n_participants"),
    "overlap": _schema(
        "recorded overlap of maps",
        {
            "recipe": _text(),
            "mode": TABLE1.columns["mode"],
            "where": _text(),
            "pair": _text(),
            "overlap": _number("0–1"),
        },
        ["recipe", "mode", "where", "pair"],
    ),
    # The counts are rounded down to fives, so that no count of few follows from them.
    "statements": _schema(
        "recorded statements about regions",
        {"recipe": _text(), **STATEMENTS.columns, "n_scans": _count(), "hidden": _hidden()},
        ["recipe", "mode", "finding", "net", "method", "block", "statement"],
    ),
}
"""Tables of a recording, by the name of their file without ``.csv``."""


def maps_file(recipe: str) -> str:
    """Name of the file with a recipe's mean maps."""
    return f"maps-{recipe}.npz"


class Recorded:
    """The recorded real run that a book shows, or that there is none.

    Parameters
    ----------
    folder : path
        ``recorded`` in a run folder, or one folder of ``book/recorded``.

    Examples
    --------
    >>> nothing = Recorded("no such folder")
    >>> bool(nothing), nothing.table("table1"), nothing.kind({"mode": "sound"})
    (False, None, None)
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)

    def __bool__(self) -> bool:
        return (self.folder / CARD).is_file()

    @property
    def card(self) -> dict[str, Any]:
        """Name, cohort and, by recipe, what ran."""
        return read_json(self.folder / CARD)

    def table(self, name: str, **chosen: str | int) -> pd.DataFrame | None:
        """Read a table of `RECORDED`, or None where nothing of the kind is recorded.

        Parameters
        ----------
        name : str
            One of the names in `RECORDED`.
        **chosen
            Values of columns; only their rows. What the table has no column for is left out.
        """
        schema, path = RECORDED[name], self.folder / f"{name}.csv"
        if not self or not path.is_file():
            return None
        rows = choose(
            read_table(path, schema),
            **{column: value for column, value in chosen.items() if column in schema.columns},
        )
        return rows if len(rows) else None

    def kind(self, headline: Mapping[str, str]) -> dict[str, str] | None:
        """Say which of the recording's results stand beside a run's headline.

        The same mode and kind of fit, and the same recipe where it is recorded, else the
        recording's first.

        Parameters
        ----------
        headline : mapping
            ``profile.headline``: recipe, mode, fitted_on.

        Returns
        -------
        dict or None
            The same keys; None if the mode is not recorded.
        """
        chosen = {name: headline[name] for name in ("mode", "fitted_on") if name in headline}
        table = self.table("table1", **chosen)
        if table is None:
            return None
        recipes = list(dict.fromkeys(table["recipe"]))
        same = headline["recipe"] in recipes
        return {**headline, "recipe": headline["recipe"] if same else recipes[0]}

    @property
    def source(self) -> str:
        """Where its scans come from, for captions; empty where nothing is recorded."""
        return f"real scans, recorded run {self.card['name']}" if self else ""

    def words(self, kind: Mapping[str, str] | None) -> str:
        """Say in a few words which of its results are meant; empty for None.

        Parameters
        ----------
        kind : mapping or None
            As `kind` gives it; the mode may be left out.
        """
        if kind is None:
            return ""
        parts = ["real scans", self.card["name"], f"{kind['recipe']} recipe"]
        return ", ".join([*parts, f"{kind['mode']} mode"] if "mode" in kind else parts)
