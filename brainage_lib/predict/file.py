"""One file to an age: the library call."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

from brainage_lib.data.cohort import SIMULATED
from brainage_lib.errors import WrongUsage
from brainage_lib.predict.model import Model, find_model
from brainage_lib.predict.prediction import Prediction
from brainage_lib.predict.scan import predict_scan
from brainage_lib.tables.manifest import AGE_RANGE
from brainage_lib.tables.schemas import T1W_STATES

SUFFIX = re.compile(r"\.(nii|nii\.gz|hdr|img)$")


def predict_file(
    path: str | os.PathLike,
    age: float | None = None,
    sex: str | None = None,
    *,
    state: str | None = None,
    model: str | os.PathLike | Model | None = None,
    device: str = "auto",
    cache: str | os.PathLike | None = None,
) -> Prediction:
    """Predict the age of one T1w scan.

    Parameters
    ----------
    path : path
        A NIfTI file, a folder with one DICOM series, or a ``sim:`` address.
    age : float, optional
        Years at the scan, for the gap.
    sex : {"F", "M"}, optional
        The stacking does without it if it is not known.
    state : {"native-head", "native-brain", "mni152-brain"}, optional
        What the image is; guessed unless given, which is said in the warnings.
    model : path or Model, optional
        The networks: a run or a packed model (`find_model`), or one that is open already.
    device : {"auto", "cpu", "cuda"}
        Not used with an open model.
    cache : path, optional
        Folder that keeps the preprocessed scan for the next call; nothing is kept unless given.

    Returns
    -------
    Prediction
        A table in a notebook.

    Raises
    ------
    WrongUsage
        An age, sex or state that cannot be, or no networks.
    BadImage
        The scan cannot be opened.
    Refused
        Its quality does not allow a result.
    """
    scan, folder = describe_file(path, age, sex, state)
    opened = model if isinstance(model, Model) else Model(find_model(model), device)
    if cache is not None:
        return predict_scan(opened, scan, folder, cache=cache)
    with tempfile.TemporaryDirectory(prefix="brainage-") as passing:
        return predict_scan(opened, scan, folder, cache=passing)


def describe_file(
    path: str | os.PathLike,
    age: float | None = None,
    sex: str | None = None,
    state: str | None = None,
) -> tuple[dict[str, Any], Path | None]:
    """Make a manifest row of one file, and the folder that its path is relative to.

    Raises
    ------
    WrongUsage
        An age, sex or state that cannot be.
    """
    low, high = AGE_RANGE
    if age is not None and not low <= age <= high:
        raise WrongUsage(f"age {age:g} is outside {low:g}–{high:g}; give it in years at the scan")
    if sex not in (None, "F", "M"):
        raise WrongUsage(f"sex {sex!r} is none of F, M; leave it away if it is not known")
    states = [name for name in T1W_STATES if name != "simulated"]
    if state is not None and state not in states:
        raise WrongUsage(f"state {state!r} is none of {', '.join(states)}")
    known = {"age": age, "sex": sex, "t1w_state": state}
    if str(path).startswith(SIMULATED):
        return {"scan_id": "simulated", "path": str(path), **known}, None
    place = Path(os.path.realpath(path))
    name = re.sub(r"[^\w.+-]+", "_", SUFFIX.sub("", place.name)).strip(".-+") or "scan"
    return {"scan_id": name, "path": place.name, **known}, place.parent
