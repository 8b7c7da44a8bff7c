"""What is published of a finished run on real scans: its tables, with small groups hidden."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from brainage_lib import stats
from brainage_lib.run import Run, looked_at
from brainage_lib.stats.disclosure import LEAST, LEAST_QUANTILES
from brainage_lib.stats.network_errors import network_errors
from brainage_lib.tables import (
    AICBV_SCORES,
    ANOVA,
    ATTRIBUTION,
    COEFFICIENTS,
    DECADES,
    LADDER,
    MANIFEST,
    PREDICTIONS,
    QUALITY,
    SPLIT_SCORES,
    SPLITS,
    STATEMENTS,
    TABLE1,
    TABLE2,
    TABLE3,
    decade,
    read_table,
)

CONTROL = "control"
TOO_FEW = f"of fewer than {LEAST} participants nothing is told"
ROUNDED_TO = 5
"""Counts of scans by age that stand beside others are rounded down to multiples of this."""

SOUND_PARTITIONS = {"test": 0, "validation": 1, "train": 2}
"""Numbers that the split scores give to the roles of a fold."""


@dataclass(frozen=True)
class Finished:
    """The tables of a finished run; those of single people stay in here.

    Attributes
    ----------
    run : Run
    """

    run: Run

    @cached_property
    def manifest(self) -> pd.DataFrame:
        """All rows, with those put aside."""
        return read_table(self.run.path("manifest.csv"), MANIFEST)

    @cached_property
    def kept(self) -> pd.DataFrame:
        """Rows that went on, with their decade."""
        from brainage_lib.data import kept

        rows = kept(self.run)
        return rows.assign(decade=decade(rows["age"]).astype(str))

    @cached_property
    def controls(self) -> pd.DataFrame:
        """Kept rows of controls."""
        return self.kept[self.kept["diagnosis"] == CONTROL].reset_index(drop=True)

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """The predictions of all recipes."""
        return read_table(self.run.path("predictions.csv"), PREDICTIONS)

    @cached_property
    def stacked(self) -> stats.Stacked:
        """Stacked ages of the recipes with both networks."""
        return stats.stack(self.predictions)

    @property
    def recipes(self) -> list[str]:
        """Recipes of the run, in the order of its predictions."""
        return list(dict.fromkeys(self.predictions["recipe"]))

    @cached_property
    def split_members(self) -> pd.DataFrame:
        """A row a scan and partition of each split: mode, fold, partition, participant_id."""
        splits = read_table(self.run.path("splits.csv"), SPLITS)
        of_role = splits["role"].map(SOUND_PARTITIONS).astype("Int64")
        numbered = splits.assign(
            partition=splits["partition"].where(splits["mode"] == "paper", of_role)
        ).dropna(subset="partition")
        return numbered.merge(self.kept[["scan_id", "participant_id"]], on="scan_id")

    @cached_property
    def tested(self) -> pd.DataFrame:
        """A row a test scan of each mode: mode, decade, participant_id."""
        splits = read_table(self.run.path("splits.csv"), SPLITS)
        rows = splits.loc[splits["role"] == "test", ["scan_id", "mode"]]
        return rows.merge(self.kept[["scan_id", "participant_id", "decade"]], on="scan_id")

    @property
    def attribution(self) -> pd.DataFrame:
        """Groups of the maps, with their number of participants."""
        table = read_table(self.run.path("attribution", "groups.csv"), ATTRIBUTION)
        people = self.tested.groupby(["mode", "decade"])["participant_id"].nunique()
        keys = pd.MultiIndex.from_frame(table[["mode", "decade"]])
        return table.assign(n_participants=people.reindex(keys).to_numpy())

    @property
    def statements(self) -> pd.DataFrame:
        """What the maps say to the paper's statements, with their number of participants."""
        from brainage_lib.explain.statements import count_people

        table = read_table(self.run.path("attribution", "statements.csv"), STATEMENTS)
        recipe = looked_at(self.run.profile, self.run.profile.headline["mode"])
        return table.assign(recipe=recipe, n_participants=count_people(self.run, table))


def collect(finished: Finished) -> dict[str, pd.DataFrame]:
    """Make the tables of `RECORDED` from a finished run.

    Parameters
    ----------
    finished : Finished

    Returns
    -------
    dict of str to DataFrame
        By the name of the table; all groups of few people are hidden.
    """
    run, stacked = finished.run, finished.stacked
    often = {"replicates": run.profile.bootstrap, "seed": run.profile.seed}
    table2 = read_table(run.path("table2.csv"), TABLE2)
    table3 = read_table(run.path("table3.csv"), TABLE3)
    scores = read_table(run.path("split_scores.csv"), SPLIT_SCORES)
    maps = finished.attribution
    return {
        "table1": read_table(run.path("stacking", "table1.csv"), TABLE1),
        "anova": read_table(run.path("stacking", "anova.csv"), ANOVA),
        "coefficients": read_table(run.path("stacking", "coefficients.csv"), COEFFICIENTS),
        "differences": stats.compare_models(stacked, **often),
        "table2": stats.hide_by_group(table2, stacked, "age_group"),
        "table3": stats.hide_by_group(table3, stacked, "project"),
        "ladder": read_table(run.path("cbv", "ladder.csv"), LADDER),
        "ledger": _ledger(stacked, **often),
        "networks": network_errors(finished.predictions, **often),
        "trainings": _trainings(run),
        "cohort": _cohort(finished),
        "quality": _quality(finished),
        "split_scores": stats.hide_groups(
            scores, finished.split_members, "partition", key=["mode", "fold"], kept=["role"]
        ),
        "aicbv_scores": _aicbv(read_table(run.path("aicbv", "scores.csv"), AICBV_SCORES)),
        "error_quantiles": stats.error_quantiles(stacked),
        "age_density": stats.age_density(stacked),
        "attribution": stats.hide_groups(
            maps, finished.tested, "decade", key=["mode"], kept=["recipe", "net"]
        ),
        "overlap": _overlap(finished, maps),
        "statements": _statements(finished.statements),
    }


def shown_decades(attribution: pd.DataFrame) -> list[str]:
    """Decades whose mean maps may be published, from a table with participants counted."""
    enough = set(attribution.loc[attribution["n_participants"] >= LEAST_QUANTILES, "decade"])
    return [name for name in DECADES if name in enough]


def _ledger(stacked: stats.Stacked, replicates: int, seed: int) -> pd.DataFrame:
    rows = []
    for recipe in dict.fromkeys(stacked.inputs["recipe"]):
        told = stats.observe(
            stacked, recipe=recipe, replicates=replicates, seed=seed, protected=True
        )
        rows += [{"recipe": recipe, "id": number, "this_run": told[number]} for number in told]
    return pd.DataFrame(rows)


def _trainings(run: Run) -> pd.DataFrame:
    from brainage_lib.train.finished import read_trainings

    table = read_trainings(run)
    table["hidden"] = table.pop("validation_participants") < LEAST
    for column in ("n_validation", "validation_mae"):
        table[column] = table[column].mask(table["hidden"])
    return table


def _cohort(finished: Finished) -> pd.DataFrame:
    """Count controls by decade and sex, with the sums, and patients as a whole."""
    controls = finished.controls
    cells = stats.hide_cells(controls, "decade", "sex", (DECADES, ("F", "M")))
    parts = [cells.assign(who="controls")]
    for column, other in (("decade", "sex"), ("sex", "decade")):
        counts = _counts(controls.groupby(column)["participant_id"])
        sums = stats.hide_groups(counts, controls, column).drop(columns="hidden")
        parts.append(sums.assign(who="controls", **{other: "all"}))
    patients = finished.kept[finished.kept["diagnosis"] != CONTROL]
    for who, rows in (("controls", controls), ("patients", patients)):
        people = rows["participant_id"].nunique()
        counts = [len(rows), people] if people == 0 or people >= LEAST else [pd.NA, pd.NA]
        whole = {"who": who, "decade": "all", "sex": "all"}
        parts.append(
            pd.DataFrame([whole | dict(zip(("n_scans", "n_participants"), counts, strict=True))])
        )
    return pd.concat([part.astype({"n_scans": "Int64", "n_participants": "Int64"})
                      for part in parts], ignore_index=True)  # fmt: skip


def _quality(finished: Finished) -> pd.DataFrame:
    """Count the controls' scans by verdict; few that are to be looked at join those kept."""
    quality = read_table(finished.run.path("quality.csv"), QUALITY)
    rows = quality.merge(
        finished.manifest[["scan_id", "participant_id", "diagnosis"]], on="scan_id"
    )
    rows = rows[rows["diagnosis"] == CONTROL]
    look = rows.loc[rows["verdict"] == "look", "participant_id"].nunique()
    if 0 < look < LEAST:
        rows = rows.assign(verdict=rows["verdict"].replace(["keep", "look"], "keep or look"))
    counts = _counts(rows.groupby("verdict")["participant_id"])
    return stats.hide_groups(counts, rows, "verdict")


def _counts(groups) -> pd.DataFrame:
    return groups.agg(n_scans="size", n_participants="nunique").reset_index()


def _aicbv(scores: pd.DataFrame) -> pd.DataFrame:
    key = ["predictor", "region", "measure"]
    return (
        scores.groupby(key, sort=False)["value"]
        .agg(n_scans="count", value="mean", sd="std")
        .reset_index()
    )


def _overlap(finished: Finished, maps: pd.DataFrame) -> pd.DataFrame:
    from brainage_lib.explain import overlap_table
    from brainage_lib.explain.finished import read_attribution

    parts = []
    decades = {f"{name} years" for name in shown_decades(maps)}
    for (recipe, mode), rows in maps.groupby(["recipe", "mode"], sort=False):
        looked = {net: read_attribution(finished.run, net, mode) for net in rows["net"].unique()}
        table = overlap_table(looked)
        kept = table[table["where"].isin({"all ages"} | decades)]
        parts.append(kept.assign(recipe=recipe, mode=mode))
    table = pd.concat(parts, ignore_index=True)
    return table.assign(overlap=np.round(table["overlap"], 4))


def _statements(table: pd.DataFrame) -> pd.DataFrame:
    """Hide what is said of few people; of the others say about how many scans it is."""
    hidden = table.pop("n_participants") < LEAST
    tried = hidden & table["p"].notna()
    table.loc[tried, "outcome"] = "not tested"
    table.loc[hidden & table["outcome"].eq("not tested"), "reason"] = TOO_FEW
    for column in ("value", "null_low", "null_high", "p"):
        table[column] = table[column].mask(hidden)
    rounded = table["n_scans"] // ROUNDED_TO * ROUNDED_TO
    return table.assign(n_scans=rounded.astype("Int64").mask(hidden), hidden=hidden)
