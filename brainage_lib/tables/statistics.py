"""Schemas of what ``brainage stats`` writes beside Tables 1 to 3, the ANOVA and the ladder."""

from __future__ import annotations

from pandera.pandas import Check, Column, DataFrameSchema

from brainage_lib.tables.schemas import MODELS, ROLES

KINDS = ("constant", "local")
"""Intervals of one half-width for all, and of one that depends on the predicted age."""


def _text(**keywords) -> Column:
    return Column(str, coerce=True, **keywords)


def _one_of(*values: str, **keywords) -> Column:
    return Column(str, Check.isin(values), coerce=True, **keywords)


def _number(unit: str, *checks: Check) -> Column:
    return Column(float, list(checks), coerce=True, nullable=True, metadata={"unit": unit})


def _count() -> Column:
    return Column(int, Check.ge(0), coerce=True, metadata={"unit": "count"})


def _flag(**keywords) -> Column:
    return Column(bool, coerce=True, **keywords)


def _schema(name: str, columns: dict[str, Column], key: list[str]) -> DataFrameSchema:
    return DataFrameSchema(columns, name=name, strict=True, unique=key)


_SHARE = Check.in_range(0, 1)
_MODE = _one_of("paper", "sound")
_FIT = {
    "recipe": _text(),
    "mode": _MODE,
    "fitted_on": _one_of("in-sample", "validation", "out-of-fold"),
}
_WHICH = {**_FIT, "model": _one_of(*MODELS)}
_NETWORK = {"recipe": _text(), "mode": _MODE, "net": _text(), "seed": _count()}
_SIZES = {"n_scans": _count(), "n_participants": _count()}
_MAE = {name: _number("years") for name in ("mae", "mae_low", "mae_high")}
_DIFFERENCE = {name: _number("years") for name in ("difference", "low", "high")}
_P = {"p": _number("0–1", _SHARE), "p_holm": _number("0–1", _SHARE)}

DIFFERENCES = _schema(
    "differences between models",
    {**_FIT, "first": _one_of(*MODELS), "second": _one_of(*MODELS), **_SIZES, **_DIFFERENCE, **_P},
    [*_FIT, "first", "second"],
)

NETWORKS = _schema(
    "networks before stacking",
    {**_NETWORK, **_SIZES, **_MAE, "guess_mae": _number("years")},
    list(_NETWORK),
)

GUESSES = _schema(
    "trivial baselines",
    {
        "recipe": _text(),
        "mode": _MODE,
        "guess": _one_of("median age", "mean age"),
        "learned_from": _text(),
        **_SIZES,
        **_MAE,
        "age_sd": _number("years"),
        "mae_over_sd": _number("ratio"),
    },
    ["recipe", "mode", "guess"],
)

BY_SEX = _schema(
    "errors by sex",
    {
        **_WHICH,
        "sex": _one_of("F", "M", "F − M"),
        **_SIZES,
        **_MAE,
        **{name: _number("years") for name in ("gap", "gap_low", "gap_high")},
        # Less the mean gap at that age: women and men need not be of the same ages.
        **{name: _number("years") for name in ("corrected_gap", "corrected_gap_low",
                                               "corrected_gap_high")},
        "small": _flag(),
    },
    [*_WHICH, "sex"],
)  # fmt: skip

STUDIES = _schema(
    "studies at equal ages",
    {
        **_WHICH,
        "project": _text(),
        **_SIZES,
        "age_sd": _number("years"),
        "mae": _number("years"),
        "expected_mae": _number("years"),
        **{name: _number("ratio") for name in ("ratio", "ratio_low", "ratio_high")},
        **{name: _number("years") for name in ("standardised_mae", "standardised_mae_low",
                                               "standardised_mae_high")},
        "small": _flag(),
    },
    [*_WHICH, "project"],
)  # fmt: skip

LEFT_OUT = _schema(
    "one study left out",
    {
        "recipe": _text(),
        "mode": _MODE,
        "model": _one_of(*MODELS),
        "project": _text(),
        "left_out_of": _one_of("networks and stacking", "stacking", "stacking; networks unknown"),
        **_SIZES,
        "mae": _number("years"),
        "mae_left_out": _number("years"),
        **_DIFFERENCE,
        "small": _flag(),
    },
    ["recipe", "mode", "model", "project"],
)

INFLATION = _schema(
    "inflation",
    {
        "recipe": _text(),
        "mode": _text(),
        "what": _text(),
        "model": _text(),
        "measure": _one_of("MAE", "root mean square error", "gain in squared error"),
        "unit": _one_of("years", "%"),
        "honest_rows": _text(),
        "flattered_rows": _text(),
        "n_honest": _count(),
        "n_flattered": _count(),
        "honest": _number("see unit"),
        "flattered": _number("see unit"),
        # By how much the flattered figure looks better than the honest one.
        **{name: _number("see unit") for name in ("inflation", "low", "high")},
    },
    ["recipe", "mode", "what", "model", "measure"],
)

COVERAGE = _schema(
    "coverage of the intervals",
    {
        **_WHICH,
        "kind": _one_of(*KINDS),
        "level": _number("0–1", _SHARE),
        "calibrated_on": _text(),
        "by": _one_of("all", "decade", "project", "sex"),
        "group": _text(),
        **_SIZES,
        "covered": _number("0–1", _SHARE),
        # Where the share lies in 95 of 100 samples of n if the level holds.
        "band_low": _number("0–1", _SHARE),
        "band_high": _number("0–1", _SHARE),
        "verdict": _one_of("as said", "too few", "too many", "not known"),
        "half_width": _number("years"),
        "small": _flag(),
    },
    [*_WHICH, "kind", "by", "group"],
)

SCANS = _schema(
    "intervals of the scans",
    {
        **_WHICH,
        "scan_id": _text(),
        "participant_id": _text(),
        "project": _text(),
        "role": _one_of(*ROLES),
        "age": _number("years"),
        "predicted_age": _number("years"),
        "interval_low": _number("years"),
        "interval_high": _number("years"),
        "local_low": _number("years"),
        "local_high": _number("years"),
    },
    [*_WHICH, "scan_id"],
)

CORRECTED = _schema(
    "gaps, raw and corrected",
    {
        **_WHICH,
        "scan_id": _text(),
        "participant_id": _text(),
        "diagnosis": _text(),
        "role": _one_of(*ROLES),
        "gap_raw": _number("years"),
        "gap_corrected": _number("years"),
        "gap_corrected_lowess": _number("years"),
        # The corrections know the age that a prediction should find.
        "uses_true_age": _flag(checks=Check.eq(True)),
    },
    [*_WHICH, "scan_id"],
)

BIAS = _schema(
    "bias over age",
    {
        **_WHICH,
        "kind": _one_of("raw", "linear", "lowess"),
        **_SIZES,
        "slope": _number("years a year"),
        "slope_low": _number("years a year"),
        "slope_high": _number("years a year"),
        "mean_gap": _number("years"),
        "gap_sd": _number("years"),
        "uses_true_age": _flag(),
    },
    [*_WHICH, "kind"],
)

RELIABILITY = _schema(
    "repeated scans",
    {
        **_WHICH,
        "n_participants": _count(),
        **{name: _number("≤ 1") for name in ("icc", "icc_low", "icc_high")},
        **{name: _number("years") for name in ("bias", "limit_low", "limit_high")},
        **{name: _number("years") for name in ("smallest_change", "smallest_change_low",
                                               "smallest_change_high")},
        "small": _flag(),
    },
    list(_WHICH),
)  # fmt: skip

STABILITY = _schema(
    "answers to the same scan, disturbed",
    {
        "scan_id": _text(),
        "disturbance": _text(),
        "strength": _number("see unit"),
        "unit": _text(),
        "verdict": _one_of("keep", "look", "drop"),
        "reasons": _text(nullable=True),
        "predicted_age": _number("years"),
        # Less the answer to the scan as it came.
        "change": _number("years"),
        # Of the networks: what repeated scans of one person differ by.
        "smallest_change": _number("years"),
    },
    ["scan_id", "disturbance", "strength"],
)

STABILITY_SUMMARY = _schema(
    "answers to the same scans, disturbed: summary",
    {
        "disturbance": _text(),
        "strength": _number("see unit"),
        "unit": _text(),
        "n_scans": _count(),
        "n_refused": _count(),
        "mean_change": _number("years"),
        "mean_size": _number("years"),
        # Of those changes the one that is furthest from zero, with its sign.
        "largest_change": _number("years"),
        "smallest_change": _number("years"),
        "n_beyond": _count(),
    },
    ["disturbance", "strength"],
)

PATIENTS = _schema(
    "patients against controls",
    {
        **_WHICH,
        "diagnosis": _text(),
        "gap": _one_of("raw", "linear", "lowess"),
        "n_patients": _count(),
        "n_controls": _count(),
        "patients_gap": _number("years"),
        "controls_gap": _number("years"),
        **_DIFFERENCE,
        "p": _number("0–1", _SHARE),
        "trained_on": _count(),
        "small": _flag(),
    },
    [*_WHICH, "diagnosis", "gap"],
)

FALSE_ALARMS = _schema(
    "false alarms of the F test",
    {
        "recipe": _text(),
        "rows": _one_of("fitted, in-sample", "out of fold"),
        "n_scans": _count(),
        "tables": _count(),
        **{name: _number("0–1", _SHARE) for name in ("rate", "rate_low", "rate_high")},
        "null_gain": _number("%"),
    },
    ["recipe", "rows", "n_scans"],
)

LADDER_NULL = _schema(
    "calibration of the ladder",
    {
        "recipe": _text(),
        "mode": _MODE,
        "question": _text(),
        "truth": _text(),
        "n_scans": _count(),
        "folds": _count(),
        "tables": _count(),
        "gain": _number("years"),
        **{name: _number("0–1", _SHARE) for name in ("rate", "rate_low", "rate_high")},
        "wanted": _number("0–1", _SHARE),
    },
    ["recipe", "mode", "question", "n_scans", "folds"],
)

HARMONISED = _schema(
    "features with and without ComBat",
    {
        "recipe": _text(),
        "net": _text(),
        "harmonised": _one_of("no", "ComBat"),
        **_SIZES,
        **_MAE,
        "projects": _count(),
        # Mean share of a study's rows that a linear classifier gives to it.
        **{name: _number("0–1", _SHARE) for name in ("read", "read_low", "read_high", "chance")},
    },
    ["recipe", "net", "harmonised"],
)
