"""One scan through everything that a run learned: quality, maps, networks, stacking."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from brainage_lib import __version__
from brainage_lib.data import scaled
from brainage_lib.data.cohort import SIMULATED
from brainage_lib.data.native import steps_of
from brainage_lib.data.tissue import brain_box, tissue_of_scan
from brainage_lib.data.volumes import SEPARATOR, prepare_scan
from brainage_lib.errors import BadImage, Refused
from brainage_lib.explain import grad_cam, top_fifth
from brainage_lib.files import digest_file, digest_files
from brainage_lib.imaging import DEFECTS, grid, guess_state, judge, open_image
from brainage_lib.predict.model import Model
from brainage_lib.predict.prediction import Prediction
from brainage_lib.run import Run
from brainage_lib.stats import LinearBias, stacked_age
from brainage_lib.train import aicbv, predict_network

VERSIONED = ("torch", "numpy", "scipy", "nibabel", "SimpleITK", "deepbet")
LEEWAY_MM = 0.1
"""How much longer or shorter than usual a voxel may be before it is warned of."""


def predict_scan(
    run: Run | Model,
    scan: Mapping[str, Any] | pd.Series,
    folder: str | os.PathLike | None = None,
    fold: int | None = None,
    cache: str | os.PathLike | None = None,
) -> Prediction:
    """Predict the age of one scan by the networks of a run.

    The recipe and mode of the profile's headline are taken, and the lowest seed.

    Parameters
    ----------
    run : Run or Model
        With generator, networks and stacking. A `Model` keeps them open for the next scan.
    scan : mapping
        ``scan_id``, ``path`` (``sim:…`` or a file); ``t1w_state``, ``age`` (years) and ``sex``
        (F, M) where they are known. A state that is not known is guessed.
    folder : path, optional
        To which the path of a real scan is relative.
    fold : int, optional
        Ask only the networks of this fold, with the coefficients that were fitted on the
        others: for a scan that was tested in it, and on which the other networks were trained.
        All folds' networks are averaged unless given.
    cache : path, optional
        Where preprocessed scans are kept; beside the run unless given.

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
    model = run if isinstance(run, Model) else Model(run)
    found = look_at_scan(model, scan, folder, fold, cache)
    if found.status == "unusable":
        (reason,) = found.reasons
        raise BadImage(reason, remedy_of(reason))
    if found.status == "refused":
        raise Refused(f"{found.scan_id}: {SEPARATOR.join(found.reasons)}")
    return found


def look_at_scan(
    model: Model,
    scan: Mapping[str, Any] | pd.Series,
    folder: str | os.PathLike | None = None,
    fold: int | None = None,
    cache: str | os.PathLike | None = None,
) -> Prediction:
    """`predict_scan` that does not raise at a bad scan: its verdict is "drop", with the reason."""
    run, settings = model.run, model.run.profile
    model.reference  # noqa: B018 (a folder that lacks it is found out before minutes of work)
    root = None if folder is None else os.fspath(folder)
    kept = Path(run.preprocessed if cache is None else cache)
    age = None if scan.get("age") in (None, "") or pd.isna(scan["age"]) else float(scan["age"])
    sex = scan["sex"] if scan.get("sex") in ("F", "M") else None
    found = Prediction(
        scan_id=str(scan["scan_id"]), predicted_age=None, interval_low=None, interval_high=None,
        gap_raw=None, gap_corrected=None, verdict="drop", reasons=(), warnings=(), model=None,
        networks={}, level=None, t1w=None, aicbv=None, age=age, sex=sex,
        asked=model.facts(), versions=dict(_versions()),
    )  # fmt: skip
    try:
        scan, assumed = _with_state(scan, root)
    except BadImage as error:
        return replace(found, reasons=(error.reason,))
    found = replace(found, t1w_state=scan["t1w_state"], assumed=assumed, image=_image(scan, root))
    again = settings.preprocessing.register_again
    prepared = prepare_scan(scan, root, settings.grid_mm, os.fspath(kept), again)
    if prepared.volume is None:
        return replace(found, reasons=(prepared.reason,))
    verdict, reasons = judge(prepared.measures, settings.quality)
    t1w = prepared.volume
    steps = () if _simulated(scan) else tuple(steps_of(scan, Path(root), kept, again))
    found = replace(
        found, verdict=verdict, reasons=tuple(reasons), measures=prepared.measures,
        t1w=t1w.astype(np.float32), steps=steps,
    )  # fmt: skip
    if verdict == "drop" or (verdict == "look" and settings.quality.look == "drop"):
        return replace(found, verdict="drop")
    # Half precision, as in the run's volumes: a scan of the cohort gets its cohort's age.
    read: dict[str, np.ndarray] = {"T": t1w}
    if model.reads == "tissue":
        try:
            read["T"] = tissue_of_scan(scan, root, settings.grid_mm, os.fspath(kept), again)
        except BadImage as error:
            return replace(found, verdict="drop", reasons=(*found.reasons, error.reason))
    if "A" in model.nets:
        read["A"] = aicbv.cbv_map(run, model.generator, t1w).astype(np.float16)
        found = replace(found, aicbv=read["A"].astype(np.float32))
    networks = {net: _ask(model, net, volume, fold) for net, volume in read.items()}
    stacking = "T" if "A" not in read else "TAS" if sex else "TA"
    rows = pd.DataFrame([{**networks, "sex": sex}])
    predicted = float(stacked_age(model.coefficients(fold), stacking, rows)[0])
    around = _around(model, stacking, predicted, age)
    found = replace(
        found, predicted_age=predicted, model=stacking, networks=networks,
        gap_raw=None if age is None else predicted - age,
        tissue=read["T"].astype(np.float32) if model.reads == "tissue" else None, **around,
    )  # fmt: skip
    return replace(found, warnings=tuple(_warn(model, scan, found)))


def attribution(model: Model, found: Prediction) -> dict[str, np.ndarray]:
    """Where the networks looked on one scan: mean Grad-CAM of the folds' networks.

    Parameters
    ----------
    model : Model
    found : Prediction
        With volumes.

    Returns
    -------
    dict of {"T", "A"} to (x, y, z) array of float32
        Of the nets that the model has. Each network's map is divided by its mean over the brain
        (networks have no common scale); what is below the top fifth within the brain is 0.
    """
    mask = found.t1w > 0
    maps = {}
    volumes = {"T": found.t1w if found.tissue is None else found.tissue, "A": found.aicbv}
    everywhere = (slice(None),) * 3
    box = everywhere if found.tissue is None else brain_box(grid(model.run.profile.grid_mm))
    for net in model.nets:
        total = np.zeros(mask.shape, np.float32)
        for fold in model.folds:
            block = model.run.profile.attribution.block
            cam = np.zeros(mask.shape, np.float32)
            # Tissue maps are of the box about the brain; outside it the network sees nothing.
            (cam[box if net == "T" else everywhere],) = grad_cam(
                model.network(net, fold), scaled(net, [volumes[net]]), block
            )
            total += cam / max(float(cam[mask].mean()), 1e-12)
        maps[net] = top_fifth(total / len(model.folds), mask)
    return maps


def _simulated(scan: Mapping[str, Any] | pd.Series) -> bool:
    return str(scan["path"]).startswith(SIMULATED)


def _with_state(
    scan: Mapping[str, Any] | pd.Series, folder: str | None
) -> tuple[dict[str, Any], str | None]:
    """Guess the state of a scan if it is not said, and tell from what."""
    scan = dict(scan)
    if scan.get("t1w_state"):
        return scan, None
    if _simulated(scan):
        return scan | {"t1w_state": "simulated"}, None
    path = _path(scan, folder)
    if not path.is_relative_to(os.path.realpath(folder or ".")):
        raise BadImage("path leaves the manifest's folder", "move the scan below it")
    state, why = guess_state(open_image(path))
    return scan | {"t1w_state": state}, why


def _path(scan: Mapping[str, Any], folder: str | None) -> Path:
    return Path(os.path.realpath(Path(folder or ".") / str(scan["path"])))


def image_digest(path: Path) -> str:
    """SHA-256 of a scan's file, or of the files of its folder."""
    if path.is_dir():
        return digest_files(sorted(file for file in path.rglob("*") if file.is_file()))
    return digest_file(path)


def _image(scan: Mapping[str, Any], folder: str | None) -> dict[str, Any]:
    """Digest and geometry; a header may hold names and dates, which are left where they are."""
    if _simulated(scan):
        return {}
    path = _path(scan, folder)
    if not path.exists():
        return {}
    facts: dict[str, Any] = {"sha256": image_digest(path)}
    if path.is_file():
        try:
            header = nib.load(path).header
            facts["voxel_mm"] = [round(float(side), 3) for side in header.get_zooms()[:3]]
            facts["shape"] = [int(side) for side in header.get_data_shape()[:3]]
        except Exception:
            # Whatever is wrong with it, prepare_scan tells.
            return facts
    return facts


def remedy_of(reason: str) -> str:
    """Say what can be done about a reason for which an image cannot be opened; may be empty."""
    for defect in DEFECTS.values():
        if reason.startswith(defect.reason):
            return defect.remedy
    return ""


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    found = [("brainage", __version__)]
    for name in VERSIONED:
        found.append((name, importlib.metadata.version(name)))
    return tuple(found)


def _ask(model: Model, net: str, volume: np.ndarray, fold: int | None) -> float:
    ages = []
    for each in model.folds if fold is None else [fold]:
        ages += list(predict_network(model.network(net, each), scaled(net, [volume])))
    return float(np.mean(ages))


def _around(model: Model, stacking: str, predicted: float, age: float | None) -> dict:
    """Interval, level and corrected gap, as far as out-of-fold controls allow them."""
    found = dict.fromkeys(("interval_low", "interval_high", "level", "gap_corrected"))
    if model.calibration is None:
        return found
    line = model.calibration[stacking]
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


def _warn(model: Model, scan: Mapping[str, Any], found: Prediction) -> list[str]:
    """Tell what is unlike the scans from which the networks learned, and what is not known."""
    warnings = []
    other_world = model.run.simulated and not _simulated(scan)
    if other_world:
        warnings.append(
            "the networks learned from simulated scans: the number says nothing about a real brain"
        )
    known = model.reference
    if known["age_range"]:
        low, high = known["age_range"]
        warnings += [
            f"{what} {years:.0f} is outside the ages on which the networks were trained "
            f"({low}–{high})"
            for what, years in (("age", found.age), ("predicted age", found.predicted_age))
            if years is not None and not low <= years < high
        ]
    if not other_world:
        warnings += _unlike(known, found)
    if found.assumed:
        warnings.append(f"t1w_state is taken to be {found.t1w_state}: {found.assumed}")
    if not found.sex and "A" in model.nets:
        warnings.append("sex is not known: stacked without it")
    if found.level is None:
        warnings.append("no interval: too few controls were predicted out of fold")
    return warnings


def _unlike(known: Mapping[str, Any], found: Prediction) -> list[str]:
    """Compare a scan with those that the networks learned from, measure by measure.

    Not asked of a real scan by networks that learned from simulated ones: simulated scanners
    differ less than real ones, so that nearly every scan would be warned of, two or three times
    (SNR of the simulated cohort 40–109, of OASIS-1 on the same grid 14–145), and the one warning
    that they are simulated says more.
    """
    warnings = []
    if known.get("states") and found.t1w_state not in known["states"]:
        # Brains that were stripped elsewhere end at another place; what `benchmarks/stripping.py`
        # could measure of that is a few people.
        came = f"the training scans came as {' or '.join(known['states'])}"
        warnings.append(
            f"{came}, this one as {found.t1w_state}: who strips a brain otherwise can move its age "
            "by some years; give the head if there is one"
        )
    if found.image.get("voxel_mm"):
        longest = max(found.image["voxel_mm"])
        warnings += _unusual(known, "voxel_mm", longest, "voxels of {:.1f} mm", LEEWAY_MM)
    contrast, snr = found.measures["contrast"], found.measures["snr"]
    warnings += _unusual(known, "contrast", contrast, "contrast of grey to white matter {:.2f}")
    return warnings + _unusual(known, "snr", snr, "signal-to-noise ratio {:.0f}")


def _unusual(
    known: Mapping[str, Any], name: str, value: float, words: str, leeway: float = 0.0
) -> list[str]:
    """Warn of a measure that nearly no training scan had."""
    usual = known["usual"].get(name)
    if usual is None or not np.isfinite(value):
        return []
    low, high = usual
    if low - leeway <= value <= high + leeway:
        return []
    return [f"{words.format(value)} : the training scans had {low:g}–{high:g}"]
