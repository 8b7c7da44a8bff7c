"""The stacking's coefficients as a file, for the prediction of new scans."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd

from brainage_lib.errors import BadInput
from brainage_lib.files import read_json, write_json
from brainage_lib.stats.regression import MODEL_TERMS, SEX_CODE, apply_estimates, design
from brainage_lib.stats.stacking import Stacked

VERSION = 1
ALL_FOLDS = "all"
"""Name of the coefficients that were fitted on all folds' out-of-fold rows."""


def save_model_json(stacked: Stacked, path: str | os.PathLike) -> None:
    """Write the coefficients as ``models[recipe][mode][fitted_on][fold][model]``.

    Each leaf holds ``terms`` (term → estimate), ``n_scans`` and ``residual_sd`` (years). The
    fold is a number as text, or "all". Sex is coded 0 female, 1 male.

    Parameters
    ----------
    stacked : Stacked
    path : path
        Written whole or not at all.
    """
    models: dict = {}
    keys = ["recipe", "mode", "fitted_on", "fold", "model"]
    for values, terms in stacked.coefficients.groupby(keys, sort=False, dropna=False):
        *outer, fold, model = values
        place = models
        for name in (*outer, ALL_FOLDS if pd.isna(fold) else str(int(fold))):
            place = place.setdefault(name, {})
        place[model] = {
            "terms": dict(zip(terms["term"], terms["estimate"].astype(float), strict=True)),
            "n_scans": int(terms["n_scans"].iloc[0]),
            "residual_sd": float(terms["residual_sd"].iloc[0]),
        }
    write_json(path, {"version": VERSION, "sex": SEX_CODE, "models": models})


def load_model_json(path: str | os.PathLike) -> dict:
    """Read what `save_model_json` wrote; the value is ``models``.

    Raises
    ------
    BadInput
        The file is not of this kind or version.
    """
    return read_versioned(path, "stacking model", VERSION)["models"]


def read_versioned(path: str | os.PathLike, kind: str, version: int) -> dict:
    """Read a JSON file of this room that says its version.

    Parameters
    ----------
    path : path
    kind : str
        What it should be, for the error.
    version : int

    Raises
    ------
    BadInput
        It cannot be read, or is of another version.
    """
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise BadInput(str(path), [f"cannot be read: {error}"]) from None
    if not isinstance(content, dict) or content.get("version") != version:
        finding = f"not a {kind} of version {version}; write it again by chapter 06"
        raise BadInput(str(path), [finding])
    return content


def stacked_age(fits: dict, model: str, rows: pd.DataFrame) -> np.ndarray:
    """Stacked ages of new scans.

    Parameters
    ----------
    fits : dict
        ``models[recipe][mode][fitted_on][fold]``.
    model : str
        T, A, TA or TAS.
    rows : DataFrame
        T, A (years) and, for TAS, sex (F or M).

    Returns
    -------
    (n,) array of float
        Years; NaN where an input is missing.
    """
    terms = fits[model]["terms"]
    if set(terms) != {"intercept", *MODEL_TERMS[model]}:
        raise BadInput("stacking model", [f"{model} has the terms {sorted(terms)}"])
    return apply_estimates(terms, design(rows, model))
