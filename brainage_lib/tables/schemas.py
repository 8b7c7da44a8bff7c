"""Schemas of the tables of a run.

Each is a pandera schema; a column's ``metadata`` holds its unit where it has one.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from pandera.pandas import Check, Column, DataFrameSchema

PROJECTS = (
    "ADNI", "AIBL", "BGSP", "CoRR", "DLBS", "IXI", "NIFD", "OAS1", "OAS2", "PPMI", "SALD",
    "SLIM", "SchizConnect",
)  # fmt: skip
"""The 13 studies, in the order of the paper's Table 3."""

MODELS = ("T", "A", "TA", "TAS")
"""The stacked models of Table 1: T1w, AICBV, both, both with sex."""

ROLES = ("train", "validation", "test", "apart")
T1W_STATES = ("native-head", "native-brain", "mni152-brain", "simulated")

OUTSIDE = "outside"
_FIVE = [(low, low + 5) for low in range(15, 95, 5)]
AGE_GROUPS = (*(f"{low}–{high}" for low, high in _FIVE), OUTSIDE)
"""The rows of Table 2: [15, 20), [20, 25) … [90, 95], and all other ages."""

DECADES = (*(f"{low}–{low + 10}" for low in range(10, 100, 10)), OUTSIDE)
"""Groups of ten years, [10, 20) … [90, 100), and all other ages."""


def age_group(age: pd.Series) -> pd.Categorical:
    """Sort ages (years) into the rows of Table 2; 95.0 belongs to the last one."""
    edges = np.array([*range(15, 95, 5), np.nextafter(95.0, 96.0)])
    return _grouped(age, edges, AGE_GROUPS)


def decade(age: pd.Series) -> pd.Categorical:
    """Sort ages (years) into groups of ten years."""
    return _grouped(age, np.arange(10.0, 101.0, 10.0), DECADES)


def _grouped(age: pd.Series, edges: np.ndarray, labels: tuple[str, ...]) -> pd.Categorical:
    values = np.asarray(age, dtype=float)
    index = np.searchsorted(edges, values, side="right") - 1
    inside = (index >= 0) & (index < len(edges) - 1)
    return pd.Categorical.from_codes(np.where(inside, index, len(labels) - 1), labels)


def _text(**keywords) -> Column:
    return Column(str, coerce=True, **keywords)


def _one_of(*values: str, **keywords) -> Column:
    return Column(str, Check.isin(values), coerce=True, **keywords)


def _number(unit: str, *checks: Check, **keywords) -> Column:
    return Column(float, list(checks), coerce=True, metadata={"unit": unit}, **keywords)


def _count(**keywords) -> Column:
    return Column(int, Check.ge(0), coerce=True, metadata={"unit": "count"}, **keywords)


def _schema(name: str, columns: dict[str, Column], unique=None, **keywords) -> DataFrameSchema:
    return DataFrameSchema(columns, name=name, strict=True, unique=unique, **keywords)


_DESCRIPTION = {
    "scan_id": _text(),
    "participant_id": _text(),
    "project": _text(),
    "session": _text(),
    "age": _number("years", Check.in_range(5, 110)),
    "sex": _one_of("F", "M"),
    "diagnosis": _text(),
}

MANIFEST = _schema(
    "manifest",
    {
        **_DESCRIPTION,
        "scan_id": _text(unique=True),
        "path": _text(),
        "t1w_state": _one_of(*T1W_STATES),
        r"^x_.*$": Column(regex=True, required=False, nullable=True),
    },
)

QUALITY = _schema(
    "quality",
    {
        "scan_id": _text(unique=True),
        "project": _text(),
        "verdict": _one_of("keep", "look", "drop"),
        "reasons": _text(nullable=True),
        "brain_ml": _number("ml", nullable=True),
        "contrast": _number("grey/white ratio", nullable=True),
        "snr": _number("ratio", nullable=True),
        "template_correlation": _number("-1–1", nullable=True),
        "edge_fraction": _number("0–1", nullable=True),
        "turn_degrees": _number("degrees", nullable=True),
    },
)

BATCH = _schema(
    "batch",
    {
        "scan_id": _text(unique=True),
        "predicted_age": _number("years", nullable=True),
        "interval_low": _number("years", nullable=True),
        "interval_high": _number("years", nullable=True),
        "gap_raw": _number("years", nullable=True),
        "gap_corrected": _number("years", nullable=True),
        "verdict": _one_of("keep", "look", "drop"),
        "reasons": _text(nullable=True),
        "warnings": _text(nullable=True),
    },
)

SPLITS = _schema(
    "splits",
    {
        "scan_id": _text(),
        "mode": _one_of("paper", "sound"),
        "fold": _count(),
        "role": _one_of(*ROLES),
        "partition": Column("Int64", Check.in_range(0, 9), nullable=True, coerce=True),
    },
    unique=["scan_id", "mode", "fold"],
)

SPLIT_SCORES = _schema(
    "split scores",
    {
        "mode": _one_of("paper", "sound"),
        "fold": _count(),
        "partition": _count(),
        "role": _one_of(*ROLES),
        "n_scans": _count(),
        "n_participants": _count(),
        "age_mean": _number("years"),
        "age_sd": _number("years", nullable=True),
        "kl": _number("nats", Check.ge(0)),
        "shared_participants": _count(),
    },
    unique=["mode", "fold", "partition"],
)

COPIES = _schema(
    "copies",
    {
        "scan_id": _text(),
        "other": _text(),
        "participant_id": _text(),
        "other_participant_id": _text(),
        "kind": _one_of("identical", "alike"),
        "correlation": _number("-1–1"),
    },
    unique=["scan_id", "other"],
)

PREDICTIONS = _schema(
    "predictions",
    {
        **_DESCRIPTION,
        # Anyone's table may lack it: then all its rows are of one recipe.
        "recipe": _text(default="unnamed"),
        "mode": _one_of("paper", "sound"),
        "role": _one_of(*ROLES),
        "fold": _count(),
        "net": _text(),
        "seed": _count(),
        # Networks may say odd things, but neither infinity nor days in place of years.
        "predicted_age": _number("years", Check.in_range(-1000, 1000)),
    },
    unique=["scan_id", "recipe", "mode", "fold", "net", "seed"],
    add_missing_columns=True,
)

AICBV_SCORES = _schema(
    "AICBV scores",
    {
        "scan_id": _text(),
        "predictor": _one_of("network", "tissue means", "T1w transform", "ceiling"),
        "region": _one_of("brain", "grey matter", "white matter"),
        "measure": _one_of(
            "pearson", "spearman", "concordance", "r2", "residual_r2", "mae", "psnr", "ssim"
        ),
        "value": _number("see measure", nullable=True),
    },
    unique=["scan_id", "predictor", "region", "measure"],
)

_INTERVALS = {
    f"{measure}{end}": _number(unit, nullable=True)
    for measure, unit in (("mae", "years"), ("mse", "years²"), ("r2", "≤ 1"))
    for end in ("", "_low", "_high")
}
_WHICH = {
    "recipe": _text(),
    "mode": _one_of("paper", "sound"),
    "fitted_on": _one_of("in-sample", "validation", "out-of-fold"),
    "model": _one_of(*MODELS),
}

TABLE1 = _schema(
    "Table 1",
    {
        **_WHICH,
        "n_scans": _count(),
        "n_participants": _count(),
        **_INTERVALS,
        "age_sd": _number("years"),
        "mae_over_sd": _number("ratio"),
    },
    unique=list(_WHICH),
)

ANOVA = _schema(
    "ANOVA",
    {
        "recipe": _text(),
        "mode": _one_of("paper", "sound"),
        "rows": _one_of("fitted", "test"),
        "smaller": _one_of(*MODELS),
        "larger": _one_of(*MODELS),
        "n_scans": _count(),
        "df_residual": _count(),
        "f": _number("ratio", nullable=True),
        "p": _number("0–1", Check.in_range(0, 1), nullable=True),
    },
    unique=["recipe", "mode", "rows", "smaller", "larger"],
)

COEFFICIENTS = _schema(
    "coefficients",
    {
        "recipe": _text(),
        "mode": _one_of("paper", "sound"),
        "fitted_on": _one_of("in-sample", "validation", "out-of-fold"),
        # Empty: fitted on the out-of-fold rows of all folds, used for people set apart.
        "fold": Column("Int64", Check.ge(0), nullable=True, coerce=True),
        "model": _one_of(*MODELS),
        "term": _one_of("intercept", "T", "A", "sex"),
        "estimate": _number("years, or years a year"),
        "low": _number("as estimate", nullable=True),
        "high": _number("as estimate", nullable=True),
        "p": _number("0–1", nullable=True),
        "n_scans": _count(),
        "residual_sd": _number("years", nullable=True),
    },
    unique=["recipe", "mode", "fitted_on", "fold", "model", "term"],
)


def _by_group(name: str, group: str, values: tuple[str, ...] | None) -> DataFrameSchema:
    column = _one_of(*values) if values else _text()
    return _schema(
        name,
        {
            **_WHICH,
            group: column,
            "n_scans": _count(),
            "n_participants": _count(),
            "mae": _number("years", nullable=True),
            "mae_low": _number("years", nullable=True),
            "mae_high": _number("years", nullable=True),
            "small": Column(bool, coerce=True),
        },
        unique=[*_WHICH, group],
    )


TABLE2 = _by_group("Table 2", "age_group", AGE_GROUPS)
TABLE3 = _by_group("Table 3", "project", None)

RUNGS = ("T", "T + A", "T + T′", "T + F", "T + M", "T + X", "T + P")
"""The control ladder: T alone, and with AICBV, a second look at T1w, a fixed transform of T1w,
tissue maps, shuffled AICBV, a planted signal."""

_GAINS = {
    name: column
    for over in ("gain_over_t", "gain_over_second_look", "gain_over_tissue")
    for name, column in {
        over: _number("years", nullable=True),
        f"{over}_low": _number("years", nullable=True),
        f"{over}_high": _number("years", nullable=True),
        f"{over}_p": _number("0–1", Check.in_range(0, 1), nullable=True),
        # Empty for the checks of the procedure (shuffled, planted), which are no questions.
        f"{over}_p_holm": _number("0–1", Check.in_range(0, 1), nullable=True),
    }.items()
}

LADDER = _schema(
    "control ladder",
    {
        "recipe": _text(),
        "mode": _one_of("paper", "sound"),
        "fitted_on": _one_of("in-sample", "out-of-fold"),
        "rung": _one_of(*RUNGS),
        "second": _text(),
        "status": Column(str, Check.str_matches(r"^(computed|not run: .)"), coerce=True),
        "n_scans": _count(),
        "n_participants": _count(),
        "mae": _number("years", nullable=True),
        "mae_low": _number("years", nullable=True),
        "mae_high": _number("years", nullable=True),
        "error_correlation": _number("-1–1", nullable=True),
        **_GAINS,
    },
    unique=["recipe", "mode", "rung"],
)

ATTRIBUTION = _schema(
    "attribution",
    {
        "recipe": _text(),
        "mode": _one_of("paper", "sound"),
        "net": _text(),
        "decade": _one_of(*DECADES),
        "n_scans": _count(),
        "small": Column(bool, coerce=True),
        # Where the group's map, among its highest fifth, covers the largest area.
        "sagittal": _number("mm, MNI152 x"),
        "coronal": _number("mm, MNI152 y"),
        "axial": _number("mm, MNI152 z"),
        # Share of a map's sum, and of the grid's voxels, outside the brain.
        "mass_outside": _number("0–1", nullable=True),
        "outside": _number("0–1"),
    },
    unique=["recipe", "mode", "net", "decade"],
)

TRIAL_VERDICTS = ("passes", "fails", "not resolvable at this grid", "told")
"""What a test says of maps; "told": a number without a limit. Else "not run: " and the reason."""

TRIALS = _schema(
    "trials of maps",
    {
        "mode": _one_of("paper", "sound"),
        "net": _text(),
        "method": _text(),
        # Of Grad-CAM; 0 where a method has none.
        "block": _count(),
        "test": _text(),
        "value": _number("as the test says", nullable=True),
        # What a map gets that knows nothing.
        "chance": _number("as the value", nullable=True),
        "n_scans": _count(),
        "verdict": Column(
            str, Check.str_matches(rf"^({'|'.join(TRIAL_VERDICTS)}|not run: .+)$"), coerce=True
        ),
    },
    unique=["mode", "net", "method", "block", "test"],
)

REGIONS = _schema(
    "attribution by region",
    {
        "mode": _one_of("paper", "sound"),
        "net": _text(),
        "method": _text(),
        "block": _count(),
        "decade": _one_of(*DECADES, "all ages"),
        "region": _text(),
        "n_scans": _count(),
        "n_participants": _count(),
        "share": _number("0–1 of the map within the brain"),
        "low": _number("0–1", nullable=True),
        "high": _number("0–1", nullable=True),
        # What a map has there that is the same everywhere.
        "even": _number("0–1"),
    },
    unique=["mode", "net", "method", "block", "decade", "region"],
)

STATEMENTS = _schema(
    "statements about regions",
    {
        "finding": _count(),
        "mode": _one_of("paper", "sound"),
        "net": _text(),
        "method": _text(),
        "block": _count(),
        "statement": _text(),
        "measure": _text(),
        "value": _number("as the measure says", nullable=True),
        # Of maps that know nothing: 2.5th and 97.5th percentile.
        "null_low": _number("as the value", nullable=True),
        "null_high": _number("as the value", nullable=True),
        "p": _number("0–1", nullable=True),
        "n_scans": _count(),
        "outcome": _one_of("agrees", "does not agree", "not resolvable at this grid", "not tested"),
        "reason": _text(nullable=True),
    },
)

VERDICTS = ("holds", "not reproducible", "contradicted", "unsupported")
"""What the ledger says of a claim of the paper."""

LEDGER = _schema(
    "ledger",
    {
        "id": _count(unique=True),
        "section": _text(),
        "claim": _text(),
        "printed": _text(),
        "recomputed": _text(),
        "verdict": _one_of(*VERDICTS),
        "reason": _text(),
        "kind": _one_of("computed", "quoted"),
        "recorded": _text(nullable=True),
        "this_run": _text(nullable=True),
    },
)
