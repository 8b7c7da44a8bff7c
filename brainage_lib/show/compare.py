"""Three columns: what the paper printed, what was recorded on real scans, what this run found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from brainage_lib.show.page import captioned
from brainage_lib.show.table import Measure, Table
from brainage_lib.show.words import NOTHING, count, interval, number
from brainage_lib.tables.schemas import AGE_GROUPS, PROJECTS

NOT_PRINTED = "not printed"
MISSING = {"paper": NOT_PRINTED, "recorded": "not recorded", "this run": "not computed"}
"""What a column says that has nothing to show."""

NO_RECORDING = "No run on real scans is recorded yet"
"""Said once where there is none, in place of a column."""

HIDDEN = "hidden (few)"
WHY_HIDDEN = (
    "hidden (few): fewer than five people, or a group from which the number of such a group "
    "could be worked out"
)

SMALL = 10
"""Groups of fewer scans are marked (SCIENCE, section 7)."""

Sources = dict[str, pd.DataFrame | None]


def three_columns(
    paper: pd.DataFrame | None,
    recorded: pd.DataFrame | None,
    this_run: pd.DataFrame | None,
    *,
    by: Mapping[str, str],
    measures: Mapping[str, Measure | tuple],
    title: str,
    caption: str,
    source: str,
    name: str,
    recorded_source: str = "real scans",
) -> Table:
    """Put the paper's numbers, the recorded real run and this run beside each other.

    The three are matched by their keys and nothing else; what one of them lacks is said in
    its column and never filled from another. Where no run is recorded, the caption says so and
    there is no column.

    Parameters
    ----------
    paper, recorded, this_run : DataFrame or None
        A row a key. Measures may have neighbours ``x_low`` and ``x_high``, and a row may have
        ``n_scans``; values may be text ("< 2.2e-16"). A row of few people may be ``hidden``.
        None: nothing printed, not recorded yet, not computed.
    by : mapping of column to head
        The key. The paper may lack some of its columns (it has one mode only); its numbers
        then stand beside every value of them.
    measures : mapping of column to Measure
        What is compared.
    title, caption, source, name : str
        As in `Shown`; ``source`` says where this run's scans come from.
    recorded_source : str
        The same for the recorded run; empty where no run could be expected to be recorded.
    """
    sources = _sources(paper, recorded, this_run)
    keys = _keys(sources, list(by))
    how = {column: Measure(*measure) for column, measure in measures.items()}
    found = {
        (key, column, place): _value(frame, dict(zip(by, key, strict=True)), column)
        for key in keys
        for column in how
        for place, frame in sources.items()
    }
    cells = {}
    heads = _heads(source, recorded_source)
    for place in sources:
        head = heads[place]
        known = [
            column
            for column in how
            if any(not _unknown(found[key, column, place]["value"]) for key in keys)
        ]
        if any(found[key, column, place]["hidden"] for key in keys for column in how):
            known = list(how)
        if not known:
            cells[head, MISSING[place]] = [NOTHING] * len(keys)
            continue
        sizes = [found[key, known[0], place] for key in keys]
        if not all(_unknown(size["n_scans"]) for size in sizes):
            cells[head, "n"] = [
                "few" if size["hidden"] else number(size["n_scans"], 0) for size in sizes
            ]
        for column in known:
            cells[head, how[column].head] = [
                _cell(found[key, column, place], how[column], place) for key in keys
            ]
    index = pd.MultiIndex.from_tuples(
        [tuple(map(str, key)) for key in keys], names=list(by.values())
    )
    frame = pd.DataFrame(cells, index=index if len(by) > 1 else index.get_level_values(0))
    frame.columns = pd.MultiIndex.from_tuples(frame.columns)
    long = pd.DataFrame(
        [
            {**dict(zip(by, key, strict=True)), "measure": column, "source": place} | value
            for (key, column, place), value in found.items()
        ],
        columns=[*by, "measure", "source", "value", "low", "high", "n_scans"],
    )
    small = _small_print(long, any("n" in column for column in cells))
    said = _of_recording(sources, recorded_source)
    return Table(
        title,
        captioned(f"{small}{caption.rstrip('. ')}{said}", _data(sources, source, recorded_source)),
        f"Table by {', '.join(by.values())}: paper, recorded run and this run in columns",
        long,
        name,
        frame,
    )


def _small_print(long: pd.DataFrame, counted: bool) -> str:
    """Say what stands in small print beside the numbers, if anything does."""
    said = ["Small print: 95 % interval"] if long["low"].notna().any() else []
    said += ["n counts scans"] if counted else []
    return "; ".join(said) + ". " if said else ""


def _sources(
    paper: pd.DataFrame | None, recorded: pd.DataFrame | None, this_run: pd.DataFrame | None
) -> Sources:
    """Name the columns; what is not recorded takes none."""
    sources: Sources = {"paper": paper, "recorded": recorded, "this run": this_run}
    return {
        place: frame
        for place, frame in sources.items()
        if place != "recorded" or (frame is not None and len(frame))
    }


def _of_recording(sources: Sources, recorded_source: str) -> str:
    """Say what a caption adds: that nothing is recorded, or why something is hidden."""
    recorded = sources.get("recorded")
    if recorded is None:
        return f". {NO_RECORDING}" if recorded_source else ""
    return f". {WHY_HIDDEN}" if "hidden" in recorded and recorded["hidden"].any() else ""


def _data(sources: Sources, source: str, recorded_source: str) -> str:
    """Say whose scans each column is of; one column needs no name."""
    told = {
        "paper": "the paper's own scans",
        "recorded": f"{recorded_source} (recorded run)",
        "this run": f"{source} (this run)",
    }
    there = [place for place, frame in sources.items() if frame is not None and len(frame)]
    if set(there) <= {"this run"}:
        return source
    return "; ".join(told[place] for place in there)


def _heads(source: str, recorded_source: str) -> dict[str, str]:
    return {
        "paper": "Paper",
        "recorded": f"Recorded run ({recorded_source})",
        "this run": f"This run ({source})",
    }


def _keys(sources: Sources, by: list[str]) -> list[tuple]:
    """Keys of all three, this run's first; the paper's are repeated over what it lacks."""
    found = [sources["this run"], sources.get("recorded"), sources["paper"]]
    frames = [frame for frame in found if frame is not None and len(frame)]
    full = [frame for frame in frames if set(by) <= set(frame.columns)]
    outer = [column for column in by if any(column not in frame for frame in frames)]
    inner = [column for column in by if column not in outer]
    outer_keys = _unique(full, outer) or [tuple(NOTHING for _ in outer)]
    inner_keys = _unique(frames, inner)
    whole = set(_unique(full, by))
    keys = []
    for first in outer_keys:
        for second in inner_keys:
            pairs = dict(zip([*outer, *inner], (*first, *second), strict=True))
            key = tuple(pairs[column] for column in by)
            if not outer or key in whole or _in_partial(frames, by, pairs):
                keys.append(key)
    # What a source adds stands with its group, not after all of the others.
    groups = list(dict.fromkeys(key[0] for key in keys))
    return sorted(keys, key=lambda key: groups.index(key[0])) if len(by) > 1 else keys


def _in_partial(frames: list[pd.DataFrame], by: list[str], key: dict) -> bool:
    return any(
        not set(by) <= set(frame.columns) and len(_matching(frame, key)) > 0 for frame in frames
    )


def _unique(frames: Sequence[pd.DataFrame], columns: list[str]) -> list[tuple]:
    if not columns:
        return [()]
    found: dict[tuple, None] = {}
    for frame in frames:
        for key in frame[columns].itertuples(index=False, name=None):
            found[key] = None
    return list(found)


def _matching(frame: pd.DataFrame, key: dict) -> pd.DataFrame:
    rows = frame
    for column, value in key.items():
        if column in frame:
            rows = rows[rows[column] == value]
    return rows


def _value(frame: pd.DataFrame | None, key: dict, column: str) -> dict:
    empty = {"value": None, "low": None, "high": None, "n_scans": None, "hidden": False}
    if frame is None:
        return empty
    rows = _matching(frame, key)
    if len(rows) > 1:
        raise ValueError(
            f"{len(rows)} rows for {key}: choose one recipe, mode and kind of fit first, "
            "or give their columns in `by`"
        )
    if rows.empty:
        return empty
    row = rows.iloc[0]
    return {
        "value": row.get(column),
        "low": row.get(f"{column}_low"),
        "high": row.get(f"{column}_high"),
        "n_scans": row.get("n_scans"),
        "hidden": bool(row.get("hidden", False)),
    }


def _cell(value: dict, measure: Measure, place: str) -> str:
    if value["hidden"]:
        return HIDDEN
    if _unknown(value["value"]):
        if place == "paper":
            return NOT_PRINTED
        return "no scans" if value["n_scans"] == 0 else NOTHING
    text = measure.text(value["value"])
    small = interval(value["low"], value["high"], measure.digits)
    return f"{text}\n{small}" if small else text


def _unknown(value: float | str | None) -> bool:
    return value is None or (not isinstance(value, str) and bool(pd.isna(value)))


def mae_by_group_table(
    paper: pd.DataFrame | None,
    recorded: pd.DataFrame | None,
    this_run: pd.DataFrame,
    *,
    group: str,
    source: str,
    recorded_source: str = "real scans",
) -> Table:
    """Tables 2 and 3 beside the paper's: MAE of the four models in each group.

    Parameters
    ----------
    paper : DataFrame or None
        Columns ``group``, ``model``, ``mae``.
    recorded, this_run : DataFrame (or None for what is not recorded yet)
        Schema TABLE2 or TABLE3, with one recipe, mode and kind of fit only; of the recorded
        one some groups may be ``hidden``.
    group : {"age_group", "project"}
    source, recorded_source : str
        Where the scans come from.
    """
    sources = _sources(paper, recorded, this_run)
    heads = _heads(source, recorded_source)
    frames = [frame for frame in sources.values() if frame is not None]
    groups = _in_order([key for (key,) in _unique(frames, [group])], group)
    models = [key for (key,) in _unique(frames, ["model"])]
    cells, long = {}, []
    for place, frame in sources.items():
        if frame is None:
            cells[heads[place], MISSING[place]] = [NOTHING] * len(groups)
            continue
        found = {
            (key, model): _value(frame, {group: key, "model": model}, "mae")
            for key in groups
            for model in models
        }
        long += [
            {group: key, "model": model, "source": place} | value
            for (key, model), value in found.items()
        ]
        if "n_scans" in frame:
            cells[heads[place], "n"] = [_group_size(found, key, models) for key in groups]
        for model in models:
            cells[heads[place], model] = [_mae_cell(found[key, model]) for key in groups]
    head = {"age_group": "Age (years)", "project": "Study"}.get(group, group)
    frame = pd.DataFrame(cells, index=pd.Index(groups, name=head, dtype=str))
    frame.columns = pd.MultiIndex.from_tuples(frame.columns)
    return Table(
        lowest_counts(this_run, group),
        captioned(
            "MAE in years on the test scans, 95 % interval below it; n counts scans; † marks "
            f"groups of fewer than {SMALL} scans{_of_recording(sources, recorded_source)}",
            source,
        ),
        f"Table of the mean absolute error by {head}: paper, recorded run and this run",
        pd.DataFrame(long, columns=[group, "model", "source", "value", "low", "high", "n_scans"]),
        "table2" if group == "age_group" else "table3",
        frame,
    )


def _in_order(names: list[str], group: str) -> list[str]:
    """Age groups by age; studies as the paper lists them, then others by name."""
    known = AGE_GROUPS if group == "age_group" else PROJECTS
    return [name for name in known if name in names] + sorted(set(names) - set(known))


def _group_size(found: dict, key: str, models: list[str]) -> str:
    if any(found[key, model]["hidden"] for model in models):
        return "few"
    sizes = [found[key, model]["n_scans"] for model in models]
    known = [int(size) for size in sizes if size is not None and not pd.isna(size)]
    if not known:
        return "0"
    return f"{number(known[0], 0)}{' †' if 0 < known[0] < SMALL else ''}"


def _mae_cell(value: dict) -> str:
    if value["hidden"]:
        return HIDDEN
    if _unknown(value["value"]):
        return NOTHING
    ends = interval(value["low"], value["high"], 2)
    return f"{number(value['value'])}\n{ends}" if ends else number(value["value"])


def lowest_counts(this_run: pd.DataFrame, group: str) -> str:
    """Say in how many groups each model has the lowest MAE, and of how many scans.

    Only groups of ten scans or more are counted. Groups in which two models share the lowest
    value (to 0.01 years, as printed) count for neither.
    """
    rows = this_run[this_run["mae"].notna()]
    if rows.empty:
        return "No group has a scan in the test set"
    if rows[group].nunique() == 1:
        says = ", ".join(f"{row.model} {number(row.mae)}" for row in rows.itertuples())
        n = count(int(rows["n_scans"].iloc[0]), "scan")
        return f"MAE in {rows[group].iloc[0]}: {says} years (n = {n})"
    rows = rows[rows["n_scans"] >= SMALL]
    if rows.empty:
        return f"No group has {SMALL} scans in the test set"
    mae = rows.pivot_table(index=group, columns="model", values="mae", observed=True).round(2)
    alone = mae.eq(mae.min(axis=1), axis=0)
    alone = alone[alone.sum(axis=1) == 1]
    wins = [
        f"{model} in {int(alone[model].sum())}"
        for model in ("T", "A", "TA", "TAS")
        if model in alone and alone[model].any()
    ]
    n = int(rows.drop_duplicates(group)["n_scans"].sum())
    noun = "age group" if group == "age_group" else "study"
    plural = "age groups" if group == "age_group" else "studies"
    which = ", ".join(wins) if wins else "none alone"
    return (
        f"Lowest MAE in {count(len(mae), noun, plural)} of {SMALL} scans or more "
        f"(n = {count(n, 'scan')}): {which}"
    )
