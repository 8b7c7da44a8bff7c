"""The same scan, disturbed: by how much the predicted age moves, where it should not."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from brainage_lib.data.cohort import SIMULATED
from brainage_lib.data.volumes import SEPARATOR
from brainage_lib.errors import BadImage, WrongUsage
from brainage_lib.files import replacing
from brainage_lib.imaging import DISTURBANCES, Disturbance, disturb, grid, guess_state, open_image
from brainage_lib.imaging.disturbing import UNDISTURBED, applicable
from brainage_lib.predict.batch import Batch, Job, predict_many
from brainage_lib.predict.model import Model
from brainage_lib.predict.scan import remedy_of
from brainage_lib.tables import STABILITY

KINDS = tuple(dict.fromkeys(what.name for what in DISTURBANCES))


def stability(
    model: Model,
    scan: Mapping[str, Any] | pd.Series,
    folder: str | os.PathLike | None = None,
    *,
    only: Collection[str] = (),
    fold: int | None = None,
    out: str | os.PathLike | None = None,
    workers: int = 1,
    memory_gb: float | None = None,
    say: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Disturb a scan in every way that should not matter, and predict each copy from its file.

    Parameters
    ----------
    model : Model
    scan : mapping
        As for `predict_scan`. A simulated one is written as a brain in MNI152, on the networks'
        grid. A brain in MNI152 is believed to lie there when it is turned, too, and no bias
        field is taken out of it: what comes out is what a registration off by that angle does,
        and what the networks feel of the field.
    folder : path, optional
        To which the path of a real scan is relative.
    only : collection of str
        Kinds of disturbance (`KINDS`); all unless given.
    fold : int, optional
        As for `predict_scan`.
    out : path, optional
        Where results are kept, so that a second start does only what is missing; nothing is
        kept unless given. The copies of the scan, up to 17, lie there while it is at work.
    workers, memory_gb, say
        As for `predict_many`.

    Returns
    -------
    DataFrame
        Schema STABILITY: a row a disturbance, and first the scan as it came. A scan that is
        refused as it came has only that row.

    Raises
    ------
    BadImage
        The scan cannot be opened, or nothing can be made of it.
    WrongUsage
        There is no such kind of disturbance.
    """
    unknown = sorted(set(only) - set(KINDS))
    if unknown:
        raise WrongUsage(f"there is no disturbance {unknown[0]!r}; use {', '.join(KINDS)}")
    with tempfile.TemporaryDirectory(prefix="brainage-") as passing:
        place = Path(passing if out is None else out)
        known = {name: scan.get(name) for name in ("scan_id", "age", "sex")}
        img, state = _open(model, scan, folder)
        copies = Path(tempfile.mkdtemp(prefix=".copies-", dir=_made(place)))
        batch = Batch(str(place), str(model.run.folder), model.device.type, str(copies), fold=fold)

        def ask(wanted: list[Disturbance]) -> list[tuple[Disturbance, dict]]:
            jobs = [_job(img, what, known | {"t1w_state": state}, copies) for what in wanted]
            done = predict_many(jobs, batch, workers, memory_gb, say)
            return [(what, done.results[job.scan["scan_id"]])
                    for what, job in zip(wanted, jobs, strict=True)]  # fmt: skip

        try:
            found = ask([UNDISTURBED])
            if found[0][1]["status"] == "unusable":
                (reason,) = found[0][1]["quality"]["reasons"]
                raise BadImage(reason, remedy_of(reason))
            if found[0][1]["predicted_age"] is not None:
                found += ask([what for what in applicable(img) if not only or what.name in only])
        finally:
            shutil.rmtree(copies, ignore_errors=True)
    return _table(known, found, model.calibration or {})


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _open(
    model: Model, scan: Mapping[str, Any] | pd.Series, folder: str | os.PathLike | None
) -> tuple[nib.Nifti1Image, str]:
    path = str(scan["path"])
    if path.startswith(SIMULATED):
        # Simulations are opened only where there are simulated scans.
        from brainage_lib import simulate

        target = grid(model.run.profile.grid_mm)
        made = simulate.open_scan(path, target)
        data = np.where(made.mask, np.maximum(made.t1w, np.float32(1e-3)), 0)
        return nib.Nifti1Image(data.astype(np.float32), target.affine), "mni152-brain"
    img = open_image(os.path.realpath(Path(folder or ".", path)))
    if not (np.asarray(img.dataobj) > 0).any():
        raise BadImage("no value above zero within the brain", "export the scan again")
    return img, scan.get("t1w_state") or guess_state(img)[0]


def _job(img: nib.Nifti1Image, what: Disturbance, known: dict[str, Any], copies: Path) -> Job:
    name = f"{known['scan_id']}_{what.name}"
    if what is not UNDISTURBED:
        name += f"-{what.strength:g}"
    # Not packed: that would take longer than reading it back.
    path = copies / f"{name}.nii"
    with replacing(path) as temporary:
        nib.save(disturb(img, what, known["t1w_state"] == "native-head"), temporary)
    return Job(known | {"scan_id": name, "path": path.name}, str(copies), name)


def _table(
    known: Mapping[str, Any], found: list[tuple[Disturbance, dict]], calibration: dict
) -> pd.DataFrame:
    before = found[0][1]["predicted_age"]
    rows = []
    for what, result in found:
        age = result["predicted_age"]
        stated = (calibration.get(result["stacking"]) or {}).get("repeated") or {}
        rows.append(
            {
                "scan_id": str(known["scan_id"]),
                "disturbance": what.name,
                "strength": what.strength,
                "unit": what.unit,
                "verdict": result["quality"]["verdict"],
                "reasons": SEPARATOR.join(result["quality"]["reasons"]),
                "predicted_age": age,
                "change": None if age is None else age - before,
                "smallest_change": stated.get("smallest_change"),
            }
        )
    return STABILITY.validate(pd.DataFrame(rows))
