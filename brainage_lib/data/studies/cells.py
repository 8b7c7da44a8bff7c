"""Reading single cells: numbers, dates, births, codings. Each says None where it cannot."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

import pandas as pd

from brainage_lib.data.studies.specification import Diagnosis, Sex
from brainage_lib.errors import WrongUsage

DAYS_PER_YEAR = 365.25


def number(text: str) -> float | None:
    """Read a finite number.

    Examples
    --------
    >>> number("35.80"), number("89+"), number("inf")
    (35.8, None, None)
    """
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def date(text: str, formats: Sequence[str]) -> pd.Timestamp | None:
    """Read a date in one of the study's formats; a time after it is cut off.

    Examples
    --------
    >>> date("03-Mar-2012", ["%d-%b-%Y"])
    Timestamp('2012-03-03 00:00:00')
    """
    # Workbooks give dates with a midnight behind them.
    text = re.sub(r"[ T]00:00:00$", "", text)
    for form in formats:
        try:
            return pd.Timestamp(datetime.strptime(text, form))
        except ValueError:
            continue
    return None


def birth(text: str, resolution: str) -> pd.Timestamp | None:
    """Middle of the year (``YYYY``, ``/YYYY``) or of the month (``MM/YYYY``) of a birth.

    Examples
    --------
    >>> birth("/1931", "year"), birth("02/1950", "month"), birth("13/1950", "month")
    (Timestamp('1931-07-02 00:00:00'), Timestamp('1950-02-15 00:00:00'), None)
    """
    if resolution == "year":
        found = re.fullmatch(r"/?(\d{4})", text)
        return pd.Timestamp(int(found[1]), 7, 2) if found else None
    found = re.fullmatch(r"(\d{1,2})/(\d{4})", text)
    if not found or not 1 <= int(found[1]) <= 12:
        return None
    return pd.Timestamp(int(found[2]), int(found[1]), 15)


def years_between(start: pd.Timestamp, end: pd.Timestamp) -> float:
    """Years of 365.25 days, as the studies count them."""
    return (end - start).days / DAYS_PER_YEAR


def canonical(text: str) -> str:
    """Write a cell so that equal values are equal texts: 35.8 and 35.80, F and f."""
    value = number(text)
    return text.casefold() if value is None else f"{value:.9g}"


def sex_values(sex: Sex, coding: str | None) -> dict[str, str]:
    """Return the coding of sex that holds, in canonical texts.

    Parameters
    ----------
    sex : Sex
    coding : str or None
        The user's own, for example ``1=F,2=M``.

    Raises
    ------
    WrongUsage
        The study's code books disagree and the user did not say which holds, or said it
        wrongly.
    """
    if coding is not None:
        pairs = [part.partition("=") for part in coding.split(",")]
        values = {canonical(code.strip()): word.strip().upper() for code, _, word in pairs}
        if len(values) != len(pairs) or set(values.values()) != {"F", "M"}:
            raise WrongUsage(f"--sex-coding {coding}: give it as CODE=F,CODE=M, like 1=F,2=M")
        return values
    if not sex.values:
        raise WrongUsage(
            f"{sex.column}: the study's code books disagree about it, and nothing is guessed; "
            f"say which holds with --sex-coding {' or --sex-coding '.join(sex.choices)} "
            "(men's heads are larger by a tenth: look at a few)"
        )
    return {canonical(code): word for code, word in sex.values.items()}


def diagnosis_of(cells: Mapping[str, str], rules: Sequence[Diagnosis]) -> str | None:
    """Diagnosis from a row's cells: the first word that is not ``control``; None if unknown."""
    words = []
    for rule in rules:
        text = cells.get(rule.column, "")
        if not text:
            words.append(rule.empty)
            continue
        values = {canonical(code): word for code, word in rule.values.items()}
        words.append(values.get(canonical(text), text))
    if any(word is None for word in words):
        return None
    return next((word for word in words if word != "control"), "control")
