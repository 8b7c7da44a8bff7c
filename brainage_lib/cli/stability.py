"""``brainage stability``: by how much the answer moves if the same scan is disturbed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from brainage_lib.cli.options import AsJson, Device, Memory, ModelName, Out, Sex, State
from brainage_lib.cli.predict import PARTLY, REFUSED, TABLES, make_room
from brainage_lib.errors import BadImage, WrongUsage

HELP = """Disturb a scan in ways that say nothing about the person, and see what that does.

The scan is tilted, its axes are reordered, its voxels made coarser; noise, a bias field, a
factor, an offset and a power are put on its values. Each copy goes the whole way of
`brainage predict`, so that a raw head takes some twenty times as long as one prediction.

`brainage stability T1w.nii.gz --model runs/real`

prints how many years each moves the predicted age, beside the smallest change that counts: what
repeated scans of one person differ by. With `--out` the numbers are kept as `stability.csv`, and a
second start does only what is missing. A table of scans (`scan_id`, `path`) works too:

`brainage stability scans.csv --model runs/real --out stable --nprocs 4`

adds `stability_summary.csv`: mean and largest change over the scans.

Exit codes: 0 done; 2 wrong usage; 3 bad input; 4 the one scan was refused as it came; 5 of several
scans some were.
"""


def stability_command(
    scan: Annotated[str, typer.Argument(metavar="T1W", help="A scan, or a table of scans (.csv).")],
    model: ModelName = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only this kind: tilt, axes, voxel, slices, noise, bias, scale, offset, "
                          "gamma. May be given several times."),
    ] = None,
    sex: Sex = None,
    state: State = None,
    out: Out = None,
    as_json: AsJson = False,
    device: Device = "auto",
    nprocs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    mem: Memory = None,
) -> None:  # fmt: skip
    """Parse, call the library, print; the help is `HELP`."""
    import pandas as pd

    from brainage_lib.predict import Model, find_model, stability
    from brainage_lib.predict.batch import put_aside
    from brainage_lib.predict.file import describe_file
    from brainage_lib.predict.scans import manifest_jobs

    several = Path(scan).suffix.lower() in TABLES
    aside: dict = {}
    if several:
        if sex is not None or state is not None:
            raise WrongUsage("--sex and --state are of one scan; put them into the table of scans")
        if out is None:
            raise WrongUsage("a table of scans needs --out, the folder for results")
        jobs, aside = manifest_jobs(scan)
        asked = [(job.scan, job.folder) for job in jobs]
    else:
        asked = [describe_file(scan, None, sex, state)]
    make_room(out)
    opened = Model(find_model(model), device)
    opened.check()
    tables = []
    for row, folder in asked:
        place = None if out is None else out / "scans" / str(row["scan_id"])
        how = {"only": only or (), "out": place, "workers": nprocs, "memory_gb": mem}
        try:
            tables.append(stability(opened, row, folder, **how))
        except BadImage as error:
            if not several:
                raise
            aside[row["scan_id"]] = put_aside(row["scan_id"], [error.reason])
    found = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    for name, result in aside.items():
        typer.echo(f"brainage: {name}: {'; '.join(result['quality']['reasons'])}", err=True)
    _tell(found, several, out, as_json)
    refused = found.empty or found.loc[found["disturbance"] == "none", "predicted_age"].isna().any()
    if several and (aside or refused):
        raise typer.Exit(PARTLY)
    if refused:
        raise typer.Exit(REFUSED)


def _tell(found, several: bool, out: Path | None, as_json: bool) -> None:
    from brainage_lib.stats import summarise_stability
    from brainage_lib.tables import STABILITY, STABILITY_SUMMARY, write_table

    if found.empty:
        return
    summary = summarise_stability(found)
    if out is not None:
        write_table(found, out / "stability.csv", STABILITY)
        if several:
            write_table(summary, out / "stability_summary.csv", STABILITY_SUMMARY)
    if as_json:
        typer.echo(json.dumps(json.loads(found.to_json(orient="records")), indent=1,
                              ensure_ascii=False))  # fmt: skip
        return
    came = found[found["disturbance"] == "none"]
    for row in came.itertuples():
        told = f"{row.predicted_age:.1f} years" if row.predicted_age == row.predicted_age else ""
        typer.echo(f"{row.scan_id}: {told or 'refused: ' + row.reasons}")
    for row in summary.itertuples():
        what = f"{row.disturbance} {row.strength:g} {row.unit}"
        if row.n_scans == 0:
            told = "refused"
        elif several:
            told = f"mean {row.mean_change:+.1f}, largest {row.largest_change:+.1f} years"
            told += f" (n = {row.n_scans}{f', {row.n_refused} refused' if row.n_refused else ''})"
        else:
            told = f"{row.mean_change:+.1f} years"
        mark = "  beyond what repeated scans differ by" if row.n_beyond else ""
        typer.echo(f"  {what:36} {told.replace('-', '−')}{mark}")
    stated = came["smallest_change"].max()
    if stated == stated:
        typer.echo(f"The smallest change that counts: {stated:.1f} years (from repeated scans)")
    else:
        typer.echo("The networks' run had too few repeated scans to say which change counts")


def register(app: typer.Typer) -> None:
    """Add the command to ``brainage``."""
    app.command("stability", help=HELP)(stability_command)
