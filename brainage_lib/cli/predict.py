"""``brainage predict``: one scan, a table of scans, a BIDS dataset."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from brainage_lib.cli.options import AsJson, Device, Memory, ModelName, Out, Sex, State
from brainage_lib.errors import BadInput, WrongUsage

REFUSED, PARTLY = 4, 5
TABLES = (".csv",)
BIDS_LEVELS = ("participant", "group")
BIDS_RESULT = "_desc-brainage_predictions.json"

HELP = """Predict the age of a brain from a T1w scan, with an interval, or say why not.

**One scan.** NIfTI or a folder with one DICOM series, in any orientation, a raw head or a brain:

`brainage predict T1w.nii.gz --age 63.2 --sex F --model runs/real --out results`

prints the age, its interval, the gap (if the age is given) and warnings; the folder gets
`NAME_prediction.json`, `NAME_report.html` and `NAME_report.pdf`.

**A table of scans.** A CSV with `scan_id` and `path` (relative to it), and `age`, `sex`,
`t1w_state` where they are known:

`brainage predict scans.csv --model runs/real --out results --nprocs 4`

gives `predictions.csv`, `group.html`, `log.txt` and the files of each scan. A bad row or scan is
put aside with its reason. Started again, it does what is missing.

**A BIDS dataset.** The same, as a BIDS app:

`brainage predict /data /out participant --participant-label 01 02 --model runs/real`

On a cluster `--part 3/20` does the third of twenty parts of a table or a dataset; the same without
it (or the level group) puts the tables together. `workflow/predict.smk` sends them as jobs.

Which column is the answer? `predicted_age`; `gap_raw` is predicted less true age, and
`gap_corrected` that less the mean gap of people of that age. Not for clinical use.

Exit codes: 0 done; 2 wrong usage; 3 bad input; 4 refused by quality (one scan); 5 some scans of
several were refused, put aside or failed.
"""


def predict_command(
    scan: Annotated[
        str, typer.Argument(metavar="T1W", help="A scan, a table of scans (.csv), or a dataset.")
    ],
    bids_out: Annotated[
        Path | None, typer.Argument(metavar="[OUT]", help="Of a BIDS dataset: where to write.")
    ] = None,
    level: Annotated[
        str | None, typer.Argument(metavar="[LEVEL]", help="Of a BIDS dataset: participant, group.")
    ] = None,
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    model: ModelName = None,
    age: Annotated[float | None, typer.Option(help="True age in years, for the gap.")] = None,
    sex: Sex = None,
    state: State = None,
    out: Out = None,
    as_json: AsJson = False,
    native_maps: Annotated[
        bool, typer.Option("--native-maps", help="Write AICBV, mask and attribution on the scan.")
    ] = False,
    viewer: Annotated[
        bool,
        typer.Option("--viewer", help="Put brains to turn into the reports (1.5 to 3 MB each)."),
    ] = False,
    device: Device = "auto",
    participant_label: Annotated[
        list[str] | None, typer.Option("--participant-label", "--participant_label",
                                       help="BIDS: only these, with or without sub-.")
    ] = None,
    session_label: Annotated[
        list[str] | None, typer.Option("--session-label", "--session_label",
                                       help="BIDS: only these, with or without ses-.")
    ] = None,
    nprocs: Annotated[int, typer.Option(min=1, help="Processes, of several scans.")] = 1,
    mem: Memory = None,
    part: Annotated[
        str | None, typer.Option(metavar="K/N", help="Of several scans: only part K of N, and no "
                                 "tables.")
    ] = None,
    work: Annotated[
        Path | None, typer.Option("--work-dir", "-w", help="Where preprocessed scans are kept.")
    ] = None,
) -> None:  # fmt: skip
    """Parse, and hand on to one scan, a table or a dataset; the help is `HELP`."""
    several = Path(scan).suffix.lower() in TABLES or level is not None
    if several and (age is not None or sex is not None):
        raise WrongUsage("--age and --sex are of one scan; put them into the table of scans")
    if bids_out is not None and level is None:
        raise WrongUsage("a BIDS dataset needs OUT and a level: participant or group")
    if more and (level is None or session_label or not participant_label):
        raise WrongUsage(f"what is {more[0]!r}? give several labels with the option before each")
    labels = [*(participant_label or []), *(more or [])]
    share = _share(part)
    make_room(out if level is None else bids_out)
    if share and (not several or level == "group"):
        raise WrongUsage("--part is of a table of scans, or of the level participant")
    extras = {"native-maps": native_maps, "viewer": viewer}
    wanted = ("report", *(name for name, asked in extras.items() if asked))
    if level is not None:
        _bids(scan, bids_out, level, labels, session_label or [], state, wanted, share,
              (model, device, nprocs, mem, work))  # fmt: skip
    elif several:
        if out is None:
            raise WrongUsage("a table of scans needs --out, the folder for results")
        _table(Path(scan), out, wanted, as_json, share, (model, device, nprocs, mem, work))
    else:
        if len(wanted) > 1 and out is None:
            raise WrongUsage(f"--{wanted[1]} needs --out, the folder to write to")
        _one((scan, age, sex, state), out, wanted, as_json, (model, device, work))


def make_room(out: Path | None) -> None:
    """Let passing files lie in the output folder where the system's own folder takes none.

    Raises
    ------
    WrongUsage
        There is no output folder.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        if out is None:
            raise WrongUsage("no folder for passing files can be written to; give --out") from None
        out.mkdir(parents=True, exist_ok=True)
        passing = tempfile.mkdtemp(prefix=".passing-", dir=out.resolve())
        atexit.register(shutil.rmtree, passing, ignore_errors=True)
        # For this process, and for those that it starts.
        tempfile.tempdir = os.environ["TMPDIR"] = passing


def _share(part: str | None) -> tuple[int, int] | None:
    """Read "K/N": which part of how many."""
    if part is None:
        return None
    found = re.fullmatch(r"(\d+)/(\d+)", part)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise WrongUsage(f"--part {part!r} is no K/N with K from 1 to N, such as 3/20")
    return int(found[1]), int(found[2])


def _one(
    asked: tuple, out: Path | None, wanted: tuple[str, ...], as_json: bool, how: tuple
) -> None:
    from brainage_lib.cli.results import write_results
    from brainage_lib.errors import BadImage
    from brainage_lib.files import write_json
    from brainage_lib.predict import Model, find_model
    from brainage_lib.predict.file import describe_file
    from brainage_lib.predict.scan import look_at_scan, remedy_of

    name, device, work = how
    scan, folder = describe_file(*asked)
    model = Model(find_model(name), device)
    with contextlib.ExitStack() as passing:
        cache = work or (out / "preprocessed" if out else None)
        if cache is None:
            cache = Path(passing.enter_context(tempfile.TemporaryDirectory(prefix="brainage-")))
        found = look_at_scan(model, scan, folder, cache=cache)
        if out is not None:
            stem = out / found.scan_id
            where = {**scan, "t1w_state": found.t1w_state, "folder": folder, "cache": str(cache)}
            write_results(model, found, stem, where | {"wanted": wanted})
            write_json(f"{stem}_prediction.json", found.json())
    if as_json:
        typer.echo(json.dumps(found.json(), ensure_ascii=False, indent=1))
    if found.status == "unusable":
        raise BadImage(found.reasons[0], remedy_of(found.reasons[0]))
    if not as_json:
        for label, text in found.lines():
            typer.echo(f"{label + ':':15} {text}")
        if out is not None:
            typer.echo(f"{'Report:':15} {stem}_report.html")
    if found.status == "refused":
        raise typer.Exit(REFUSED)


def _table(
    manifest: Path, out: Path, wanted: tuple[str, ...], as_json: bool,
    share: tuple[int, int] | None, how: tuple,
) -> None:  # fmt: skip
    import pandas as pd

    from brainage_lib.cli.results import write_batch
    from brainage_lib.predict.scans import manifest_jobs

    jobs, aside = manifest_jobs(manifest)
    done = _run(jobs, out, wanted, "_prediction.json", how, share)
    if share:
        _end(done, out, quiet=as_json)
        return
    done.results |= aside
    # The order of the manifest, with the bad rows where they stand in it.
    lines = pd.read_csv(manifest, dtype=str, keep_default_na=False, skip_blank_lines=False)
    first = {name.strip(): row for row, name in reversed(list(enumerate(lines["scan_id"])))}
    order = sorted(done.results, key=lambda name: _place(name, first))
    write_batch(out, done, order, {job.stem: f"{job.stem}_report.html" for job in jobs})
    if as_json:
        listed = [done.results[name] for name in order]
        typer.echo(json.dumps(listed, ensure_ascii=False, indent=1))
    _end(done, out / "predictions.csv", quiet=as_json)


def _place(name: str, first: dict[str, int]) -> int:
    """Row of a scan in the manifest; a row without a name of its own is called after its line."""
    if name in first:
        return first[name]
    return int(name.rpartition("line ")[2].rstrip(")")) - 2


def _bids(
    dataset: str, out: Path, level: str, participants: list[str], sessions: list[str],
    state: str | None, wanted: tuple[str, ...], share: tuple[int, int] | None, how: tuple,
) -> None:  # fmt: skip
    from brainage_lib import __version__
    from brainage_lib.cli.results import write_batch, write_bids, write_bids_table
    from brainage_lib.files import read_json
    from brainage_lib.predict.batch import Done
    from brainage_lib.predict.scans import bids_jobs

    if level not in BIDS_LEVELS:
        raise WrongUsage(f"level {level!r} is none of {', '.join(BIDS_LEVELS)}")
    jobs = bids_jobs(dataset, participants, sessions, state)
    if level == "participant":
        write_bids(out, Path(dataset), __version__)
        done = _run(jobs, out, (*wanted, "bids"), BIDS_RESULT, how, share)
    else:
        places = {job.scan["scan_id"]: out / f"{job.stem}{BIDS_RESULT}" for job in jobs}
        done = Done({name: read_json(file) for name, file in places.items() if file.is_file()})
        if not done.results:
            raise BadInput(str(out), ["no results; run the level participant first"])
        missing = len(places) - len(done.results)
        if missing:
            typer.echo(f"brainage: {missing} scans of the dataset have no result yet", err=True)
    order = [job.scan["scan_id"] for job in jobs if job.scan["scan_id"] in done.results]
    links = {job.scan["scan_id"]: f"{job.stem}_report.html" for job in jobs}
    # Jobs of some participants only must not shrink the tables of the others.
    if level == "group" or not (participants or sessions or share):
        write_batch(out, done, order, links)
        write_bids_table(out, done, order)
    _end(done, out)


def _run(
    jobs, out: Path, wanted: tuple[str, ...], result: str, how: tuple,
    share: tuple[int, int] | None = None,
):  # fmt: skip
    from tqdm import tqdm

    from brainage_lib.cli.results import write_results
    from brainage_lib.predict import find_model
    from brainage_lib.predict.batch import Batch, predict_many

    name, device, workers, memory, work = how
    out.mkdir(parents=True, exist_ok=True)
    log = out / "log.txt"
    if share:
        # A log a part: not every network file system appends for two computers at once.
        jobs, log = jobs[share[0] - 1 :: share[1]], out / f"log-{share[0]}.txt"
    cache = work or out / ("work" if "bids" in wanted else "preprocessed")
    batch = Batch(
        str(out), str(find_model(name).folder), device, str(cache), write_results, wanted, result
    )

    def say(line: str) -> None:
        tqdm.write(line, file=sys.stderr)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S")
        # One call of the system a line: two starts may write to one log.
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            os.write(handle, f"{stamp} {' '.join(line.splitlines())}\n".encode())
        finally:
            os.close(handle)

    return predict_many(jobs, batch, workers, memory, say)


def _end(done, place: Path, quiet: bool = False) -> None:
    counts = done.counts()
    words = {"done": "predicted", "refused": "refused by quality", "unusable": "put aside",
             "failed": "failed"}  # fmt: skip
    said = ", ".join(f"{counts[name]} {word}" for name, word in words.items())
    typer.echo(f"{place}: {len(done.results)} scans, {said}", err=quiet)
    if counts["done"] < len(done.results):
        raise typer.Exit(PARTLY)


def register(app: typer.Typer) -> None:
    """Add the command to ``brainage``."""
    app.command("predict", help=HELP)(predict_command)
