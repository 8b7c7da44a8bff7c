"""Which groups of a table must not be published, so that nobody can be read from it.

Groups are counted in *participants*. A group of fewer than `LEAST` is hidden. As its numbers
could be had by subtracting the others from a total that is known elsewhere, more is hidden
until what is hidden holds `LEAST` participants again (complementary suppression; Hundepool et
al. 2012, *Statistical Disclosure Control*, chapter 4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

LEAST = 5
"""Participants of a group whose numbers may be shown."""

LEAST_QUANTILES = 10
"""… whose quartiles may be, and whose mean map may be."""

LEAST_TAILS = 20
"""… whose 5th and 95th percentile may be: of fewer, these are single people."""

Cell = tuple[str, str]


def hidden_groups(
    people: Mapping[str, set[str]],
    within: Callable[[str], str] | None = None,
    least: int = LEAST,
) -> set[str]:
    """Choose the groups of a table that are hidden.

    Parameters
    ----------
    people : mapping of group to set of str
        The participants of each group. A person may be in several.
    within : function of group to str, optional
        A coarser group, whose total is known as well; the total of all groups always is.
    least : int
        Participants.

    Returns
    -------
    set of str
        Groups of fewer than ``least``, and for each total the next smallest ones until what
        is hidden of it holds ``least`` participants together, or all of it is hidden.

    Examples
    --------
    >>> people = {"a": set("123"), "b": set("456789"), "c": set("ABCDEFGH")}
    >>> sorted(hidden_groups(people))
    ['a', 'b']
    """
    hidden = {name for name, those in people.items() if 0 < len(those) < least}
    # The coarser groups come first: what is hidden for their sake often is enough for the whole.
    parents = dict.fromkeys(within(name) for name in people) if within else {}
    totals = [[name for name in people if within(name) == parent] for parent in parents]
    totals.append(list(people))
    changed = True
    while changed:
        changed = False
        for total in totals:
            rest = set().union(*(people[name] for name in total if name in hidden))
            still_shown = [name for name in total if name not in hidden and people[name]]
            if 0 < len(rest) < least and still_shown:
                hidden.add(min(still_shown, key=lambda name: len(people[name])))
                changed = True
    return hidden


def hide_groups(
    table: pd.DataFrame,
    members: pd.DataFrame,
    group: str,
    *,
    key: Sequence[str] = (),
    kept: Sequence[str] = (),
    within: Callable[[str], str] | None = None,
) -> pd.DataFrame:
    """Empty the rows of groups that are hidden.

    Parameters
    ----------
    table : DataFrame
        A row (or several) a group.
    members : DataFrame
        A row a scan: ``key``, ``group``, participant_id.
    group : str
        The column of groups, in both.
    key : sequence of str
        Columns that tell tables apart, in both; each has its own totals.
    kept : sequence of str
        Further columns that name a row and stay.
    within
        As in `hidden_groups`.

    Returns
    -------
    DataFrame
        With a column ``hidden``; numbers of hidden rows are missing, and counts are ``Int64``.
        A column ``small`` is true there.
    """
    names = list(key)
    marks = pd.Series(False, index=table.index)
    for values, rows in table.groupby(names, sort=False) if names else [((), table)]:
        those = members
        for column, value in zip(names, values, strict=True):
            those = those[those[column] == value]
        sets = those.groupby(group, observed=True)["participant_id"].agg(set)
        found = hidden_groups({str(name): people for name, people in sets.items()}, within)
        marks[rows.index] = rows[group].astype(str).isin(found)
    return blank(table.assign(hidden=marks), kept=[*names, group, *kept])


def blank(table: pd.DataFrame, kept: Iterable[str]) -> pd.DataFrame:
    """Empty the rows that are marked ``hidden``, but for the columns that name them."""
    table = table.copy()
    for column in table.columns.difference([*kept, "hidden"]):
        if column == "small":
            table[column] = table[column].astype(bool) | table["hidden"]
        elif pd.api.types.is_integer_dtype(table[column]):
            table[column] = table[column].astype("Int64").mask(table["hidden"], pd.NA)
        else:
            table[column] = table[column].mask(table["hidden"], np.nan)
    return table


def hide_cells(
    members: pd.DataFrame, row: str, column: str, orders: Sequence[Sequence[str]]
) -> pd.DataFrame:
    """Count scans over two groupings, without the cells of few.

    The totals of rows and columns count as known, but for those that are hidden themselves.
    Cells are hidden until no total leaves a rest of fewer than `LEAST` participants and no
    count below `LEAST` follows from the totals and the cells that are shown.

    Parameters
    ----------
    members : DataFrame
        A row a scan: ``row``, ``column``, participant_id.
    row, column : str
    orders : two sequences of str
        All labels of rows and of columns, in order.

    Returns
    -------
    DataFrame
        Columns ``row``, ``column``, n_scans, n_participants (Int64): a row for each pair of
        labels that occur. A count that is missing means none, or too few to be told: which of
        the two is not said, either.
    """
    people, scans, labels = _cells(members, row, column, orders)
    shown = _shown_cells(people, scans, labels)
    return pd.DataFrame(
        {
            row: [cell[0] for cell in people],
            column: [cell[1] for cell in people],
            "n_scans": [scans[cell] if cell in shown else pd.NA for cell in people],
            "n_participants": [len(people[cell]) if cell in shown else pd.NA for cell in people],
        }
    ).astype({"n_scans": "Int64", "n_participants": "Int64"})


def exposed_cells(
    table: pd.DataFrame,
    members: pd.DataFrame,
    row: str,
    column: str,
    orders: Sequence[Sequence[str]],
) -> list[str]:
    """Say what a table of counts gives away: the opposite of `hide_cells`, for a last check.

    Parameters
    ----------
    table : DataFrame
        ``row``, ``column``, n_scans; what is missing or empty is not shown.
    members, row, column, orders
        As in `hide_cells`.

    Returns
    -------
    list of str
        A line for each cell of few that is shown or follows, and each rest of few.
    """
    people, scans, labels = _cells(members, row, column, orders)
    known = table[table["n_scans"].notna()]
    shown = set(zip(known[row].astype(str), known[column].astype(str), strict=True))
    found = [
        f"{cell[0]}, {cell[1]} is shown" for cell in shown if len(people.get(cell, ())) < LEAST
    ]
    totals = _totals(people, labels)
    for total in totals:
        rest = set().union(*(people[cell] for cell in total if cell not in shown))
        if 0 < len(rest) < LEAST and total & shown:
            found.append(f"what is hidden beside {sorted(total & shown)[0]} is of few people")
    if shown:
        few = _determined(people, scans, shown, totals)
        found += [f"{cell[0]}, {cell[1]} follows from what is shown" for cell in few]
    return found


def _cells(
    members: pd.DataFrame, row: str, column: str, orders: Sequence[Sequence[str]]
) -> tuple[dict[Cell, set[str]], dict[Cell, int], list[list[str]]]:
    """Participants and number of scans of each pair of labels, and the labels that occur."""
    labels = [
        [name for name in order if name in set(members[by].astype(str))]
        for by, order in zip((row, column), orders, strict=True)
    ]
    groups = members.groupby(
        [members[row].astype(str), members[column].astype(str)], observed=True
    )["participant_id"]
    people: dict[Cell, set[str]] = {
        (first, second): set() for first in labels[0] for second in labels[1]
    }
    people.update(groups.agg(set).to_dict())
    return people, dict.fromkeys(people, 0) | groups.size().to_dict(), labels


def _shown_cells(
    people: dict[Cell, set[str]], scans: dict[Cell, int], labels: list[list[str]]
) -> set[Cell]:
    totals = _totals(people, labels)
    shown = {cell for cell, those in people.items() if len(those) >= LEAST}

    def smallest(cells: Iterable[Cell]) -> Cell | None:
        candidates = [cell for cell in people if cell in shown and cell in cells]
        return min(candidates, key=lambda cell: len(people[cell]), default=None)

    changed = True
    while changed and shown:
        changed = False
        for total in totals:
            rest = set().union(*(people[cell] for cell in total if cell not in shown))
            next_one = smallest(total)
            if 0 < len(rest) < LEAST and next_one:
                shown.discard(next_one)
                changed = True
        if changed:
            continue
        for cell in _determined(people, scans, shown, totals):
            beside = {other for total in totals if cell in total for other in total}
            next_one = smallest(beside) or smallest(people)
            if next_one:
                shown.discard(next_one)
                changed = True
                break
    return shown


def _totals(people: dict[Cell, set[str]], labels: list[list[str]]) -> list[set[Cell]]:
    """List the sets of cells whose sum counts as known."""
    totals: list[set[Cell]] = []
    for axis, names in enumerate(labels):
        lines = {name: {cell for cell in people if cell[axis] == name} for name in names}
        sums = {name: set().union(*(people[cell] for cell in line)) for name, line in lines.items()}
        hidden = hidden_groups(sums)
        totals += [line for name, line in lines.items() if name not in hidden]
        totals += [set().union(*(lines[name] for name in hidden))] if hidden else []
    return [*totals, set(people)]


def _determined(
    people: dict[Cell, set[str]],
    scans: dict[Cell, int],
    shown: set[Cell],
    totals: list[set[Cell]],
) -> list[Cell]:
    """Hidden cells of few participants whose count follows from totals and shown cells."""
    from scipy.optimize import linprog

    unknown = [cell for cell in people if cell not in shown]
    equations = np.array([[cell in total for cell in unknown] for total in totals], float)
    rests = np.array([sum(scans[cell] for cell in total if cell not in shown) for total in totals])
    found = []
    for place, cell in enumerate(unknown):
        if not 0 < len(people[cell]) < LEAST:
            continue
        one = np.eye(len(unknown))[place]
        ends = [
            sign * linprog(sign * one, A_eq=equations, b_eq=rests, bounds=(0, None)).fun
            for sign in (1, -1)
        ]
        if ends[1] - ends[0] < 1:
            found.append(cell)
    return found
