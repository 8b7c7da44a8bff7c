"""What a run saw of each claim that a run can speak to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from brainage_lib.errors import WrongUsage
from brainage_lib.stats.claims.finding import show_p, typeset
from brainage_lib.stats.claims.groups import BOTH, below, best, starts
from brainage_lib.stats.disclosure import LEAST
from brainage_lib.stats.error_groups import hide_by_group
from brainage_lib.stats.metrics import REPLICATES, mse
from brainage_lib.stats.nested import anova
from brainage_lib.stats.stacking import FITTED_ON, Stacked
from brainage_lib.stats.summary import compare_models, table1, table2, table3
from brainage_lib.tables import MODELS, choose


@dataclass(frozen=True)
class _Seen:
    """The tables of one mode of a run, by its main fit (in-sample, out-of-fold)."""

    mode: str
    table1: pd.DataFrame
    anova: pd.DataFrame
    differences: pd.DataFrame
    by_age: pd.DataFrame
    by_project: pd.DataFrame
    coefficients: pd.DataFrame
    rows: pd.DataFrame
    inputs: pd.DataFrame
    validation_only: pd.DataFrame
    least: int
    """People of whom something is said, at least."""

    def error(self, model: str, role: str = "test") -> pd.DataFrame:
        """Rows of a model with their ``gap``, stacked age − age in years."""
        rows = self.rows[(self.rows["model"] == model) & (self.rows["role"] == role)]
        return rows.assign(gap=rows["stacked_age"] - rows["age"])


def observe(
    stacked: Stacked,
    mode: str | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
    recipe: str | None = None,
    protected: bool = False,
) -> dict[int, str]:
    """Tell, for each finding that predictions can speak to, what this run saw.

    Parameters
    ----------
    stacked : Stacked
    mode : str, optional
        "paper" or "sound"; both unless given.
    replicates, seed : int
        Of the participant-cluster bootstrap.
    recipe : str, optional
        "paper" if it is there, else the first, unless given.
    protected : bool
        For publication: say nothing of groups that must be hidden
        (`brainage_lib.stats.disclosure`), and no count of few people.

    Returns
    -------
    dict
        Text by id of the finding, one sentence a mode. Ids about words alone, and about
        other networks (the second look at T1w of 18), are absent.
    """
    recipes = list(dict.fromkeys(stacked.rows["recipe"]))
    if recipe is None:
        recipe = "paper" if "paper" in recipes else recipes[0]
    if recipe not in recipes:
        raise WrongUsage(f"recipe {recipe!r} is not stacked; use one of {', '.join(recipes)}")
    chosen = {"recipe": recipe} if mode is None else {"recipe": recipe, "mode": mode}
    one = replace(
        stacked,
        inputs=choose(stacked.inputs, **chosen),
        rows=choose(stacked.rows, **chosen),
        coefficients=choose(stacked.coefficients, **chosen),
    )
    if one.rows.empty:
        raise WrongUsage(f"recipe {recipe} is not stacked in mode {mode!r}; use another mode")
    seen = _by_mode(one, replicates, seed, protected)
    told = {}
    for number, tell in _TELLERS.items():
        parts = [(mode.mode, tell(mode)) for mode in seen]
        sentences = [f"{name} mode: {text}" for name, text in parts if text]
        if sentences:
            told[number] = typeset("; ".join(sentences))
    return told


def _by_mode(stacked: Stacked, replicates: int, seed: int, protected: bool) -> list[_Seen]:
    by_age, by_project = table2(stacked, 1, seed), table3(stacked, 1, seed)
    if protected:
        by_age = hide_by_group(by_age, stacked, "age_group")
        by_project = hide_by_group(by_project, stacked, "project")
    tables = {
        "table1": table1(stacked, replicates, seed),
        "anova": anova(stacked, replicates, seed),
        "differences": compare_models(stacked, replicates=replicates, seed=seed),
        "by_age": by_age,
        "by_project": by_project,
        "coefficients": stacked.coefficients,
        "rows": stacked.rows,
        "inputs": stacked.inputs,
    }
    seen = []
    for mode in dict.fromkeys(stacked.inputs["mode"]):
        main = FITTED_ON[mode][0]
        chosen = {}
        for name, table in tables.items():
            part = table[table["mode"] == mode]
            if "fitted_on" in part:
                part = part[part["fitted_on"] == main]
            chosen[name] = part
        whole = tables["table1"]
        validation = whole[(whole["mode"] == mode) & (whole["fitted_on"] == "validation")]
        least = LEAST if protected else 1
        seen.append(_Seen(mode=mode, least=least, validation_only=validation, **chosen))
    return seen


def _nested(smaller: str, larger: str) -> Callable[[_Seen], str]:
    def tell(seen: _Seen) -> str:
        pair = seen.anova[(seen.anova["smaller"] == smaller) & (seen.anova["larger"] == larger)]
        parts = []
        for rows, words in (("fitted", "p"), ("test", "bootstrap p")):
            row = pair[pair["rows"] == rows].iloc[0]
            name = "fitted" if rows == "fitted" else "test"
            parts.append(
                f"F {row['f']:.2f}, {words} {show_p(row['p'])} on {row['n_scans']:,} {name} rows"
                if np.isfinite(row["f"])
                else f"no F on {name} rows"
            )
        return ", ".join(parts)

    return tell


def _sex(seen: _Seen) -> pd.Series:
    rows = seen.coefficients[seen.coefficients["term"] == "sex"]
    # Of several folds the fit on all of them, which has no fold.
    return rows.iloc[-1] if not rows["fold"].isna().any() else rows[rows["fold"].isna()].iloc[0]


def _sex_coefficient(seen: _Seen) -> str:
    row = _sex(seen)
    if np.isnan(row["p"]):
        return "one sex only"
    return (
        f"{row['estimate']:.3f} years ({row['low']:.2f} to {row['high']:.2f}), p "
        f"{show_p(row['p'])}, {row['n_scans']:,} rows"
    )


def _residual_sd(seen: _Seen) -> str:
    return (
        f"residual SD of the fit {_sex(seen)['residual_sd']:.2f} years, test RMSE "
        f"{_rmse(seen, 'TAS', 'test'):.2f}"
    )


def _training_error(seen: _Seen) -> str:
    if not (seen.rows["role"] == "train").any():
        return ""
    return f"training RMSE {_rmse(seen, 'TAS', 'train'):.2f} years"


def _rmse(seen: _Seen, model: str, role: str) -> float:
    rows = seen.error(model, role)
    return mse(rows["age"], rows["stacked_age"]) ** 0.5


def _sexes(seen: _Seen) -> str:
    gap = seen.error("TA")
    of = {sex: gap.loc[gap["sex"] == sex, "gap"] for sex in ("F", "M")}
    people = gap.groupby("sex")["participant_id"].nunique()
    if min(len(part) for part in of.values()) < 2 or people.min() < seen.least:
        return ""
    error = np.sqrt(sum(part.var(ddof=1) / len(part) for part in of.values()))
    return (
        f"TA's test error of men minus women {of['M'].mean() - of['F'].mean():.2f} ± "
        f"{error:.2f} years"
    )


def _age_sd(seen: _Seen) -> str:
    row = seen.table1.iloc[0]
    return f"age SD {row['age_sd']:.2f} years on {row['n_scans']:,} test scans"


def _maes(seen: _Seen) -> str:
    told = []
    for row in seen.table1.to_dict("records"):
        told.append(f"{row['model']} {row['mae']:.2f} ({row['mae_low']:.2f}–{row['mae_high']:.2f})")
    return ", ".join(told)


def _difference(first: str, second: str) -> Callable[[_Seen], str]:
    def tell(seen: _Seen) -> str:
        pairs = seen.differences
        row = pairs[(pairs["first"] == first) & (pairs["second"] == second)].iloc[0]
        return (
            f"{row['difference']:.2f} years ({row['low']:.2f} to {row['high']:.2f}), p "
            f"{show_p(row['p'])}, Holm {show_p(row['p_holm'])}"
        )

    return tell


def _error_correlation(seen: _Seen) -> str:
    errors = np.stack([seen.error(model)["gap"].to_numpy() for model in ("T", "A")])
    if errors.shape[1] < 3 or (errors.std(axis=1) == 0).any():
        return ""
    return f"test errors of T and A correlate {np.corrcoef(errors)[0, 1]:.3f}"


def _groups(table: pd.DataFrame, group: str) -> tuple[list[str], dict[str, np.ndarray]]:
    """List the groups that have test scans, and their MAE by model."""
    table = table[(table["n_scans"] > 0) & (table[group] != "outside")]
    labels = list(dict.fromkeys(table[group]))
    wide = table.pivot(index=group, columns="model", values="mae").reindex(labels, columns=MODELS)
    return labels, {model: wide[model].to_numpy() for model in MODELS}


def _counts(table: str, group: str, noun: str) -> Callable[[_Seen], str]:
    def tell(seen: _Seen) -> str:
        labels, mae = _groups(getattr(seen, table), group)
        if not labels:
            return ""
        names = best(mae)
        count = {name: int((names == name).sum()) for name in ("T", "A", BOTH)}
        return (
            f"TA below T in {below(mae, 'TA', 'T').sum()}, below A in "
            f"{below(mae, 'TA', 'A').sum()}, below both in {below(mae, 'TA', 'T', 'A').sum()} of "
            f"{len(labels)} {noun}; best T in {count['T']}, A in {count['A']}, TA or TAS in "
            f"{count[BOTH]}"
        )

    return tell


def _best_between(model: str, low: int, high: int) -> Callable[[_Seen], str]:
    def tell(seen: _Seen) -> str:
        labels, mae = _groups(seen.by_age, "age_group")
        lower = np.array(starts(labels))
        inside = (lower >= low) & (lower < high)
        if not inside.any():
            return "" if seen.least > 1 else f"no test scans between {low} and {high}"
        table = seen.by_age[seen.by_age["model"] == model].set_index("age_group")
        n = int(table.loc[np.array(labels)[inside], "n_scans"].sum())
        wins = int((best(mae)[inside] == model).sum())
        return f"{model} is best in {wins} of {inside.sum()} groups ({n} scans)"

    return tell


def _sex_by(table: str, group: str, noun: str) -> Callable[[_Seen], str]:
    def tell(seen: _Seen) -> str:
        labels, mae = _groups(getattr(seen, table), group)
        if not labels:
            return ""
        return f"TAS below TA in {below(mae, 'TAS', 'TA').sum()} of {len(labels)} {noun}"

    return tell


def _rank(project: str, word: str) -> Callable[[_Seen], str]:
    def tell(seen: _Seen) -> str:
        labels, mae = _groups(seen.by_project, "project")
        if project not in labels or len(labels) < 2:
            return ""
        value = mae["TA"][labels.index(project)]
        sign = 1 if word == "lowest" else -1
        place = int((sign * mae["TA"] < sign * value).sum()) + 1
        return f"TA {value:.2f} years there, place {place} of {len(labels)} from the {word}"

    return tell


def _two_and_three(seen: _Seen) -> str:
    mae = seen.table1.set_index("model")["mae"]
    return f"TA {mae['TA']:.2f}, TAS {mae['TAS']:.2f} years"


def _share(seen: _Seen) -> str:
    roles = seen.inputs.drop_duplicates("scan_id" if seen.mode == "paper" else ["scan_id", "role"])
    test = int((roles["role"] == "test").sum())
    total = seen.inputs["scan_id"].nunique()
    return f"{test:,} of {total:,} scans are tested"


def _validation_only(seen: _Seen) -> str:
    if seen.validation_only.empty:
        return ""
    both = {
        name: table.set_index("model").loc["TA", "mae"]
        for name, table in (("in", seen.table1), ("only", seen.validation_only))
    }
    return (
        f"MAE of TA {both['in']:.2f} years in-sample, {both['only']:.2f} when fitted on "
        "validation rows only"
    )


def _shared_people(seen: _Seen) -> str:
    shared, tested = 0, 0
    for _, block in seen.inputs.groupby("fold"):
        people = {role: set(part["participant_id"]) for role, part in block.groupby("role")}
        test = people.get("test", set())
        learned = people.get("train", set()) | people.get("validation", set())
        shared, tested = shared + len(test & learned), tested + len(test)
    some = f"fewer than {seen.least}" if 0 < shared < seen.least else f"{shared}"
    return f"{some} of {tested:,} tested people have scans in training or validation"


def _patients(seen: _Seen) -> str:
    scans = seen.inputs.drop_duplicates(["scan_id", "role"])
    ill = scans[scans["diagnosis"] != "control"]
    if ill.groupby("role")["participant_id"].nunique().min() < seen.least:
        return ""
    counts = ill.groupby("role")["scan_id"].nunique()
    if counts.empty:
        return "all scans are of controls"
    return "scans not of controls: " + ", ".join(f"{n} {role}" for role, n in counts.items())


def _slope(seen: _Seen) -> str:
    rows = seen.error("TA")
    if len(rows) < 3 or rows["age"].std() == 0:
        return ""
    slope = np.polyfit(rows["age"], rows["gap"], 1)[0]
    return f"TA's test error changes by {slope:.3f} years a year of age"


def _older(seen: _Seen) -> str:
    labels, mae = _groups(seen.by_age, "age_group")
    if not labels:
        return ""
    old = np.array(starts(labels)) >= 60
    over_t = below(mae, "TA", "T")
    return (
        f"TA below T in {(over_t & old).sum()} of {old.sum()} groups from 60 on, in "
        f"{(over_t & ~old).sum()} of {(~old).sum()} below"
    )


_TELLERS: dict[int, Callable[[_Seen], str]] = {
    1: _nested("T", "TA"),
    2: _nested("A", "TA"),
    3: _nested("TA", "TAS"),
    4: _sex_coefficient,
    5: _residual_sd,
    6: _training_error,
    8: _sexes,
    9: _age_sd,
    11: _maes,
    12: _difference("T", "TA"),
    13: _difference("A", "TA"),
    14: _difference("A", "T"),
    17: _error_correlation,
    19: _counts("by_age", "age_group", "age groups"),
    20: _best_between("T", 15, 30),
    21: _best_between("A", 85, 95),
    23: _sex_by("by_age", "age_group", "age groups"),
    25: _counts("by_project", "project", "projects"),
    26: _sex_by("by_project", "project", "projects"),
    27: _rank("BGSP", "lowest"),
    28: _rank("DLBS", "highest"),
    30: _two_and_three,
    31: _share,
    35: _validation_only,
    36: _shared_people,
    37: _patients,
    39: _slope,
    42: _older,
}
