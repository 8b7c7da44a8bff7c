"""What a prediction leaves in a folder: report, page of PDF, maps; tables and pages of a batch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainage_lib.files import replacing, write_json, write_text

if TYPE_CHECKING:
    from brainage_lib.predict import Model, Prediction
    from brainage_lib.predict.batch import Done
    from brainage_lib.show.viewer import Viewer

MAPS = {"aicbv": "AICBV", "mask": "brain", "T": "Grad-CAM of the network T",
        "A": "Grad-CAM of the network A, on AICBV"}  # fmt: skip
ONE = "this scan"


def write_results(model: Model, found: Prediction, stem: Path, scan: dict[str, Any]) -> None:
    """Write the report of one scan and, if they are wanted, its maps in the scan's own space.

    Parameters
    ----------
    model : Model
    found : Prediction
    stem : path
        Beginning of the files' names.
    scan : dict
        The manifest row with ``folder``, ``cache`` and ``wanted``: words among "report",
        "viewer" (in the report), "native-maps", "bids".
    """
    from brainage_lib.predict import attribution

    maps = attribution(model, found) if found.predicted_age is not None else {}
    if "report" in scan["wanted"]:
        _write_report(model, found, maps, stem, "viewer" in scan["wanted"])
    if "native-maps" in scan["wanted"] and maps and scan["folder"]:
        _write_maps(model, found, maps, stem, scan)


def _write_report(model: Model, found: Prediction, maps: dict, stem: Path, turnable: bool) -> None:
    from functools import partial

    from brainage_lib import show
    from brainage_lib.imaging import grid
    from brainage_lib.report import scan_page, scan_pdf

    planes, where, viewer = None, None, None
    if found.t1w is not None:
        affine = grid(model.run.profile.grid_mm).affine
        planes = show.scan_planes(found.t1w, affine, found.aicbv, maps)
        viewer = _viewer(model, found, maps) if turnable else None
    if found.predicted_age is not None and model.reference["ages"]:
        known = found.interval_low is not None
        where = {
            "ages": model.reference["ages"],
            "predicted": found.predicted_age,
            "interval": (found.interval_low, found.interval_high) if known else None,
            "age": found.age,
        }
    svg = show.age_among(**where) if where else None
    write_text(f"{stem}_report.html", scan_page(found, planes, svg, viewer))
    draw = partial(show.draw_age_among, **where) if where else None
    with replacing(f"{stem}_report.pdf") as temporary:
        temporary.write_bytes(scan_pdf(found, planes, draw))


def _viewer(model: Model, found: Prediction, maps: dict) -> Viewer:
    """Make a viewer that a page can hold in itself."""
    import numpy as np

    from brainage_lib import show
    from brainage_lib.imaging import grid

    settings = model.run.profile
    # Voxels of 1 mm would make a page of 10 MB.
    step = 2 if settings.grid_mm == 1 else 1
    grounds = {"t1w": found.t1w} | ({} if found.aicbv is None else {"cbv": found.aicbv})
    volumes = [
        {kind: {ONE: np.asarray(volume)[::step, ::step, ::step]} for kind, volume in some.items()}
        for some in (grounds, maps)
    ]
    return show.brain_viewer(
        *volumes,
        {ONE: 1},
        grid(settings.grid_mm).affine @ np.diag([step, step, step, 1]),
        folder=None,
        words={"t1w": "T1w", "cbv": "AICBV (ml/100 ml)", **MAPS},
        source="this scan",
        small_groups=True,
        name="scan",
    )


def _write_maps(
    model: Model, found: Prediction, maps: dict, stem: Path, scan: dict[str, Any]
) -> None:
    import nibabel as nib

    from brainage_lib.data import carry_back
    from brainage_lib.imaging import grid

    settings = model.run.profile
    bids = "bids" in scan["wanted"]
    volumes = {"mask": (found.t1w > 0).astype("float32"), **maps}
    if found.aicbv is not None:
        volumes["aicbv"] = found.aicbv
    for name, volume in volumes.items():
        order = 0 if name == "mask" else 1
        img = carry_back(
            volume, grid(settings.grid_mm), scan, Path(scan["folder"]), Path(scan["cache"]),
            settings.preprocessing.register_again, order,
        )  # fmt: skip
        place = f"{stem}{_map_ending(name, bids)}"
        with replacing(f"{place}.nii.gz") as temporary:
            nib.save(img, temporary)
        facts = {"Description": MAPS[name], "Sources": [f"bids:raw:{scan['path']}"]}
        if name == "aicbv":
            facts |= {"Units": "ml/100 ml", "Note": "computed from the T1w, not measured"}
        if name == "mask":
            facts |= {"Type": "Brain", "RawSources": [scan["path"]]}
        if bids:
            write_json(f"{place}.json", facts | {"SkullStripped": name != "mask"})


def _map_ending(name: str, bids: bool) -> str:
    if not bids:
        return {"aicbv": "_aicbv", "mask": "_mask"}.get(name, f"_attribution-{name}")
    return {
        "aicbv": "_desc-aicbv_cbv",
        "mask": "_desc-brain_mask",
        "T": "_desc-gradcamT1w_map",
        "A": "_desc-gradcamAICBV_map",
    }[name]


def write_batch(out: Path, done: Done, order: list[str], links: dict[str, str]) -> None:
    """Write the table of a batch and its page.

    Parameters
    ----------
    out : path
        Folder of the results.
    done : Done
    order : list of str
        Scans in the order of the table.
    links : dict of scan_id to str
        The scans' own pages, relative to the folder.
    """
    from brainage_lib.report import group_page
    from brainage_lib.tables import BATCH, write_table

    write_table(done.table(order), out / "predictions.csv", BATCH)
    there = {name: link for name, link in links.items() if (out / link).is_file()}
    write_text(out / "group.html", group_page([done.results[name] for name in order], there))


def write_bids(out: Path, dataset: Path, version: str) -> None:
    """Write what makes a folder a BIDS derivative dataset.

    Parameters
    ----------
    out : path
    dataset : path
        The raw dataset.
    version : str
        Of Brain Age.
    """
    write_json(
        out / "dataset_description.json",
        {
            "Name": "Brain Age",
            "BIDSVersion": "1.9.0",
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": "brainage", "Version": version}],
            "SourceDatasets": [{"URL": Path(os.path.realpath(dataset)).name}],
            "DatasetLinks": {"raw": os.path.relpath(dataset, out)},
        },
    )


def write_bids_table(out: Path, done: Done, order: list[str]) -> None:
    """Write ``brainage.tsv`` and its sidecar: the batch table in BIDS' way of writing tables."""
    table = done.table(order)
    people = table["scan_id"].str.extract(r"^(sub-[^_]+)(?:_(ses-[^_]+))?")
    table.insert(0, "participant_id", people[0])
    table.insert(1, "session_id", people[1])
    with replacing(out / "brainage.tsv") as temporary:
        table.to_csv(temporary, sep="\t", index=False, na_rep="n/a", float_format="%.9g")
    years = ("predicted_age", "interval_low", "interval_high", "gap_raw", "gap_corrected")
    write_json(
        out / "brainage.json",
        {
            **{name: {"Units": "years"} for name in years},
            "verdict": {"Levels": {"keep": "usable", "look": "usable, but look", "drop": "not"}},
        },
    )
