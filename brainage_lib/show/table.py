"""Tables that a screen reader can read, a phone can scroll and a spreadsheet can open."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby, takewhile
from typing import NamedTuple

import pandas as pd

from brainage_lib.show.page import Shown, captioned
from brainage_lib.show.words import interval, number, p_value, with_interval


class Measure(NamedTuple):
    """How a column of numbers is printed.

    Attributes
    ----------
    label : str
        Head of the column.
    unit : str
        Printed once, in the head.
    digits : int
        After the decimal point; of no effect for p values.
    p : bool
        Whether it is a p value.
    """

    label: str
    unit: str = ""
    digits: int = 2
    p: bool = False

    @property
    def head(self) -> str:
        """Label and unit, as a column's head prints them."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def text(self, value: float | str | None) -> str:
        """Print a value."""
        return p_value(value) if self.p else number(value, self.digits)


WORDS = ' class="words"'
"""Left-aligned, unlike numbers."""

LONG = 40
"""Letters from which on a cell of words is given room: as narrow as its longest word, it would be
ten lines high."""


@dataclass(frozen=True, repr=False)
class Table(Shown):
    """A table with its words and numbers.

    Attributes
    ----------
    cells : DataFrame of str
        The cells as printed; a second line of a cell is set small. The index (one level or
        more, all named) heads the rows, the outermost of several in a line of its own; columns
        have one level or two.
    """

    cells: pd.DataFrame

    def __post_init__(self):
        super().__post_init__()
        heads = [*self.cells.index.names, *_flat(self.cells.columns)]
        if any(not str(name or "").strip() for name in heads):
            raise ValueError(f"{self.title}: every column of a table needs a head")

    def html(self) -> str:
        """Return the table in a box that scrolls sideways and can be reached by keyboard."""
        title = html.escape(self.title)
        return (
            f'<div class="shown"><div class="shown-scroll" role="region" tabindex="0" '
            f'aria-label="{title}"><table><caption class="shown-title"><span>{title}</span>'
            f"</caption>{self._head()}{self._body()}</table></div>"
            f'<p class="shown-note">{html.escape(self.caption)} {self.csv_link()}</p></div>'
        )

    def _head(self) -> str:
        columns = self.cells.columns
        names = self.cells.index.names[1 if self.cells.index.nlevels > 1 else 0 :]
        two = columns.nlevels == 2
        span = ' rowspan="2"' if two else ""
        first = "".join(
            f'<th scope="col" class="words"{span}>{html.escape(str(name))}</th>' for name in names
        )
        if not two:
            heads = "".join(
                f'<th scope="col"{WORDS if wordy else ""}>{html.escape(str(name))}</th>'
                for name, wordy in zip(columns, _wordy(self.cells), strict=True)
            )
            return f"<thead><tr>{first}{heads}</tr></thead>"
        second = ""
        for name, group in groupby(columns, key=lambda pair: pair[0]):
            below = [pair[1] for pair in group]
            first += f'<th scope="colgroup" colspan="{len(below)}">{html.escape(str(name))}</th>'
            second += "".join(f'<th scope="col">{html.escape(str(under))}</th>' for under in below)
        return f"<thead><tr>{first}</tr><tr>{second}</tr></thead>"

    def _body(self) -> str:
        """Rows, in blocks below a line of their own for each value of the outermost of several."""
        if self.cells.index.nlevels == 1:
            return f"<tbody>{_rows([(key,) for key in self.cells.index], self.cells)}</tbody>"
        width = self.cells.index.nlevels - 1 + len(self.cells.columns)
        bodies, start = "", 0
        for name, group in groupby(self.cells.index, key=lambda key: key[0]):
            keys = [key[1:] for key in group]
            values = self.cells.iloc[start : start + len(keys)]
            start += len(keys)
            bodies += (
                f'<tbody><tr><th scope="rowgroup" colspan="{width}">{html.escape(str(name))}</th>'
                f"</tr>{_rows(keys, values)}</tbody>"
            )
        return bodies


def _rows(keys: list[tuple], values: pd.DataFrame) -> str:
    """Lines of a block; equal heads above each other become one that spans their lines."""
    lines = []
    for line, (key, cells) in enumerate(zip(keys, values.itertuples(index=False), strict=True)):
        heads = ""
        for level, name in enumerate(key):
            scope, span = "row", ""
            if level < len(key) - 1:
                upto = key[: level + 1]
                if line and keys[line - 1][: level + 1] == upto:
                    continue
                below = (other[: level + 1] == upto for other in keys[line:])
                same = sum(1 for _ in takewhile(bool, below))
                scope, span = "rowgroup", f' rowspan="{same}"'
            heads += f'<th scope="{scope}"{span}>{html.escape(str(name))}</th>'
        filled = "".join(map(_cell, cells, _wordy(values)))
        lines.append(f"<tr>{heads}{filled}</tr>")
    return "".join(lines)


def _wordy(values: pd.DataFrame) -> list[bool]:
    """Tell which columns hold words, though some of their cells may begin with a digit."""
    return [
        sum(str(text)[:1].isalpha() for text in values.iloc[:, place]) > len(values) / 2
        for place in range(values.shape[1])
    ]


def _cell(text: str, wordy: bool) -> str:
    first, _, small = str(text).partition("\n")
    words = WORDS if wordy or first[:1].isalpha() else ""
    if words and len(first) >= LONG:
        words = ' class="words long"'
    second = f"<small>{html.escape(small)}</small>" if small else ""
    return f"<td{words}>{html.escape(first)}{second}</td>"


def _flat(columns: pd.Index) -> list[str]:
    return [name for key in columns for name in (key if isinstance(key, tuple) else (key,))]


def table(
    data: pd.DataFrame,
    *,
    by: Mapping[str, str],
    columns: Mapping[str, Measure | tuple | str],
    title: str,
    caption: str,
    source: str,
    name: str,
) -> Table:
    """Make a table of a frame.

    Parameters
    ----------
    data : DataFrame
        The numbers; where a column ``x`` has neighbours ``x_low`` and ``x_high``, its interval
        is printed below the value.
    by : mapping of column to head
        Columns that head the rows.
    columns : mapping of column to Measure (or its fields, or a head for text)
        What is printed, from left to right.
    title, caption, source, name : str
        As in `Shown`; the caption ends with the source.
    """
    cells = pd.DataFrame(index=_row_heads(data, by))
    for column, how in columns.items():
        measure = Measure(how) if isinstance(how, str) else Measure(*how)
        ends = [f"{column}_low", f"{column}_high"]
        lines = [measure.text(value) for value in data[column]]
        if set(ends) <= set(data.columns):
            spans = [
                interval(*pair, measure.digits)
                for pair in data[ends].itertuples(index=False, name=None)
            ]
            lines = [
                f"{line}\n{span}" if span else line for line, span in zip(lines, spans, strict=True)
            ]
        cells[measure.head] = lines
    alt = f"Table of {len(cells)} rows: {', '.join([*by.values(), *cells.columns])}"
    return Table(title, captioned(caption, source), alt, data, name, cells)


def _row_heads(data: pd.DataFrame, by: Mapping[str, str]) -> pd.Index:
    if len(by) == 1:
        ((column, head),) = by.items()
        return pd.Index(data[column].astype(str), name=head)
    return pd.MultiIndex.from_frame(data[list(by)].astype(str), names=list(by.values()))


def glue_number(
    name: str,
    value: float | str | None,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    digits: int = 2,
) -> str:
    """Glue a number with its interval for the text of a page, and return the text.

    A page prints it by the role ``glue:text`` and the name; another page puts the path of
    the notebook and ``::`` before the name, and needs a colon after it. A
    text is glued, not a number: of "4.10" myst-nb would make 4.1, and of "2,851" a pair.

    Parameters
    ----------
    name : str
        Under which the page finds it.
    value, low, high : float, optional
        The number and its 95 % interval.
    unit : str
    digits : int
    """
    from myst_nb import glue

    text = with_interval(value, low, high, unit, digits)
    glue(name, text, display=False)
    return text
