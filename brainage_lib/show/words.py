"""Numbers as a page prints them: signs, intervals, units, counts."""

from __future__ import annotations

import math

import pandas as pd

NOTHING = "—"
"""Stands where a number cannot be known (empty group, no interval)."""


def number(value: float | str | None, digits: int = 2) -> str:
    """Write a number with a true minus sign and thousands separated; text is passed on.

    Parameters
    ----------
    value : float, str or None
        None and NaN become a dash.
    digits : int
        After the decimal point.

    Examples
    --------
    >>> number(-0.168, 3), number(2851, 0), number(float("nan")), number("< 2.2e-16")
    ('−0.168', '2,851', '—', '< 2.2e-16')
    """
    if isinstance(value, str):
        return value
    if value is None or pd.isna(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:,.{digits}f}"
    if float(text.replace(",", "")) == 0:  # no "−0.00"
        text = text.lstrip("-")
    return text.replace("-", "−")


def with_unit(text: str, unit: str) -> str:
    """Join a printed number and its unit; a ratio has none.

    Examples
    --------
    >>> with_unit("4.10", "years"), with_unit("12", "%"), with_unit("0.94", "")
    ('4.10 years', '12 %', '0.94')
    """
    return f"{text} {unit}" if unit and text != NOTHING else text


def percent(share: float) -> str:
    """Write a share of one as a percentage without decimals.

    Examples
    --------
    >>> percent(0.164)
    '16 %'
    """
    return with_unit(number(100 * share, 0), "%")


def interval(low: float | None, high: float | None, digits: int = 2) -> str:
    """Write an interval, or nothing where an end is unknown.

    Examples
    --------
    >>> interval(-0.1, 0.7, 1), interval(None, 0.7)
    ('−0.1 to 0.7', '')
    """
    if low is None or high is None or pd.isna(low) or pd.isna(high):
        return ""
    return f"{number(low, digits)} to {number(high, digits)}"


def with_interval(
    value: float | str | None,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    digits: int = 2,
) -> str:
    """Write a value with its unit and its 95 % interval, as far as they are known.

    Examples
    --------
    >>> with_interval(0.3, -0.1, 0.7, "years", 1)
    '0.3 years (95 % interval −0.1 to 0.7)'
    >>> with_interval(0.3, unit="years", digits=1)
    '0.3 years'
    """
    text = with_unit(number(value, digits), unit)
    ends = interval(low, high, digits)
    return f"{text} (95 % interval {ends})" if ends else text


def p_value(p: float | str | None) -> str:
    """Write a p value: three decimals, or a power of ten below 0.001.

    Values below 2.2e-16 (the resolution of a double) are printed as R does.

    Examples
    --------
    >>> p_value(0.0201), p_value(3.3e-8), p_value(0.0), p_value(None)
    ('0.020', '3.3e−8', '< 2.2e−16', '—')
    """
    if isinstance(p, str):
        return p.replace("-", "−")
    if p is None or pd.isna(p):
        return NOTHING
    if p < 2.2e-16:
        return "< 2.2e−16"
    if p < 0.001:
        mantissa, exponent = f"{p:.1e}".split("e")
        return f"{mantissa}e−{abs(int(exponent))}"
    return f"{p:.3f}"


def count(n: int, noun: str, plural: str | None = None) -> str:
    """Write a count with its noun.

    Examples
    --------
    >>> count(1, "scan"), count(2851, "scan"), count(2, "person", "people")
    ('1 scan', '2,851 scans', '2 people')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def scans_and_people(scans: pd.DataFrame) -> str:
    """Say how many rows and how many people a table of scans has.

    Parameters
    ----------
    scans : DataFrame
        With the columns ``scan_id`` and ``participant_id``; a scan may have several rows.
    """
    n, people = scans["scan_id"].nunique(), scans["participant_id"].nunique()
    return f"n = {count(n, 'scan')} of {count(people, 'person', 'people')}"


def listed(names: list[str]) -> str:
    """Join names as a sentence does.

    Examples
    --------
    >>> listed(["T"]), listed(["T", "A"]), listed(["T", "A", "TA"])
    ('T', 'T and A', 'T, A and TA')
    """
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
