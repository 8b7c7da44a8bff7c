"""One scan through everything that a run learned: quality, AICBV, two networks, stacking."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brainage_lib.data import read_cohort, scaled
from brainage_lib.data.cohort import SIMULATED
from brainage_lib.data.volumes import SEPARATOR, prepare_scan
from brainage_lib.errors import BadImage, BadInput, Refused
from brainage_lib.imaging import judge
from brainage_lib.predict.prediction import Prediction
from brainage_lib.run import NetworkKey, Run
from brainage_lib.stats import LinearBias, load_model_json, stacked_age
from brainage_lib.stats.calibration import load_calibration_json
from brainage_lib.stats.model_file import ALL_FOLDS
from brainage_lib.tables import SPLITS, read_table
from brainage_lib.train import aicbv, cohort, predict_network


def predict_scan(
    run: Run,
    scan: Mapping[str, Any] | pd.Series,
    folder: str | os.PathLike | None = None,
    fold: int | None = None,
) -> Prediction:
    """Predict the age of one scan by the networks of a run.

    The recipe and mode of the profile's headline are taken, and the lowest seed.

    Parameters
    ----------
    run : Run
        With generator, networks and stacking.
    scan : mapping
        ``scan_id``, ``path`` (``sim:…`` or a file), ``t1w_state``; ``age`` (years) and ``sex``
        (F, M) where they are known.
    folder : path, optional
        To which the path of a real scan is relative.
    fold : int, optional
        Ask only the networks of this fold, with the coefficients that were fitted on the
        others: for a scan that was tested in it, and on which the other networks were trained.
        All folds' networks are averaged unless given.

    Returns
    -------
    Prediction

    Raises
    ------
    BadImage
        The scan cannot be opened, or is in no space that the run knows.
    Refused
        Its quality does not allow a result.
    BadInput
        The run lacks something that an earlier chapter makes.
    """
    settings = run.profile
    prepared = prepare_scan(
        dict(scan),
        None if folder is None else os.fspath(folder),
        settings.grid_mm,
        os.fspath(run.preprocessed),
        settings.preprocessing.register_again,
    )
    if prepared.volume is None:
        raise BadImage(prepared.reason)
    verdict, reasons = judge(prepared.measures, settings.quality)
    if verdict == "drop" or (verdict == "look" and settings.quality.look == "drop"):
        raise Refused(f"{scan['scan_id']}: {SEPARATOR.join(reasons)}")
    _made(run, "03", run.path(aicbv.WEIGHTS))
    t1w = prepared.volume
    # Half precision, as in the run's volumes: a scan of the cohort gets its cohort's age.
    cbv = aicbv.cbv_map(run, aicbv.load_generator(run), t1w).astype(np.float16)
    networks = {net: _ask(run, net, volume, fold) for net, volume in {"T": t1w, "A": cbv}.items()}
    age = None if scan.get("age") is None or pd.isna(scan["age"]) else float(scan["age"])
    sex = scan["sex"] if scan.get("sex") in ("F", "M") else None
    model = "TAS" if sex else "TA"
    predicted = _stack(run, model, networks, sex, fold)
    around = _around(run, model, predicted, age)
    warnings = _warn(run, scan, {"age": age, "predicted age": predicted})
    if not sex:
        warnings.append("sex is not known: stacked without it")
    if around["level"] is None:
        warnings.append("no interval: too few controls were predicted out of fold")
    return Prediction(
        scan_id=str(scan["scan_id"]),
        predicted_age=predicted,
        gap_raw=None if age is None else predicted - age,
        verdict=verdict,
        reasons=tuple(reasons),
        warnings=tuple(warnings),
        model=model,
        networks=networks,
        t1w=t1w.astype(np.float32),
        aicbv=cbv.astype(np.float32),
        **around,
    )


def _made(run: Run, chapter: str, path: Path) -> Path:
    if not path.is_file():
        name = path.relative_to(run.folder).as_posix()
        finding = f"{name} is missing; run chapter {chapter}, which makes it"
        raise BadInput(str(run.folder), [finding])
    return path


def _ask(run: Run, net: str, volume: np.ndarray, fold: int | None) -> float:
    main = run.profile.headline
    folds = range(run.profile.folds) if main["mode"] == "sound" else [0]
    ages = []
    for each in folds if fold is None else [fold]:
        key = NetworkKey(main["recipe"], main["mode"], net, min(run.profile.seeds), each)
        _made(run, "05", run.network_folder(*key) / "weights.safetensors")
        ages += list(predict_network(cohort.load_network(run, key), scaled(net, [volume])))
    return float(np.mean(ages))


def _stack(run: Run, model: str, networks: dict[str, float], sex, fold: int | None) -> float:
    main = run.profile.headline
    fits = load_model_json(_made(run, "06", run.path("stacking", "model.json")))
    folds = fits[main["recipe"]][main["mode"]][main["fitted_on"]]
    default = ALL_FOLDS if main["mode"] == "sound" else "0"
    rows = pd.DataFrame([{**networks, "sex": sex}])
    return float(stacked_age(folds[default if fold is None else str(fold)], model, rows)[0])


def _around(run: Run, model: str, predicted: float, age: float | None) -> dict:
    """Interval, level and corrected gap, as far as out-of-fold controls allow them."""
    found = dict.fromkeys(("interval_low", "interval_high", "level", "gap_corrected"))
    main = run.profile.headline
    known = load_calibration_json(_made(run, "06", run.path("stacking", "calibration.json")))
    if main["mode"] != "sound":
        return found
    line = known[main["recipe"]][model]
    width = line["half_width"]
    if width is not None:
        found |= {
            "interval_low": predicted - width,
            "interval_high": predicted + width,
            "level": line["level"],
        }
    if age is not None:
        bias = LinearBias(line["slope"], line["intercept"], line["n_scans"])
        found["gap_corrected"] = float(bias.corrected_gap(age, predicted))
    return found


def _warn(
    run: Run, scan: Mapping[str, Any] | pd.Series, known: dict[str, float | None]
) -> list[str]:
    warnings = []
    if run.simulated and not str(scan["path"]).startswith(SIMULATED):
        warnings.append(
            "the networks learned from simulated scans: the number says nothing about a real brain"
        )
    splits = read_table(_made(run, "04", run.path("splits.csv")), SPLITS)
    trained = splits.loc[splits["role"].isin(["train", "validation"]), "scan_id"]
    cohort = read_cohort(run)
    ages = cohort.loc[cohort["scan_id"].isin(trained), "age"]
    limits = f"{ages.min():.0f}–{ages.max():.0f}"
    warnings += [
        f"{what} {years:.0f} is outside the ages on which the networks were trained ({limits})"
        for what, years in known.items()
        if years is not None and not ages.min() <= years <= ages.max()
    ]
    return warnings
