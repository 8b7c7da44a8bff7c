"""``brainage manifest``: check, build and merge tables of scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainage_lib.errors import WrongUsage

app = typer.Typer(help="Tables of scans.", no_args_is_help=True)

STUDY = "adni, aibl, bgsp, corr, dlbs, ixi, nifd, oas1, oas2, ppmi, sald, schizconnect, slim, bids."


@app.command("check")
def manifest_check(
    manifest: Annotated[Path, typer.Argument(help="A CSV file with a row a scan.")],
) -> None:
    """Check a table of scans; list every bad cell with line, column and remedy.

    Example: `brainage manifest check data_manifest.csv`
    """
    from brainage_lib.tables import read_manifest

    table = read_manifest(manifest)
    typer.echo(
        f"{manifest}: {len(table)} scans of {table['participant_id'].nunique()} participants in "
        f"{table['project'].nunique()} projects, nothing to mend"
    )


@app.command("build")
def manifest_build(
    study: Annotated[str, typer.Option(help=STUDY)],
    images: Annotated[Path, typer.Option(help="Folder of the images; for bids the dataset.")],
    out: Annotated[Path, typer.Option(help="The manifest; the images must lie below its folder.")],
    table: Annotated[
        list[str] | None,
        typer.Option(help="A table of the study, a folder of tables, or NAME=PATH. Repeatable."),
    ] = None,
    sex_coding: Annotated[
        str | None, typer.Option(help="Which code is which: 1=F,2=M. Needed for corr.")
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            help="Where images lie, if not as the study has them: a regular expression over the "
            "path below the folder, with groups `(?P<id>…)` and `(?P<session>…)`."
        ),
    ] = None,
    t1w_state: Annotated[
        str | None,
        typer.Option(help="With --layout or bids: native-head, native-brain or mni152-brain."),
    ] = None,
    convert: Annotated[
        Path | None,
        typer.Option(help="oas1: folder for NIfTI copies of its Analyze images."),
    ] = None,
    project: Annotated[str | None, typer.Option(help="bids: name of the study.")] = None,
    diagnosis: Annotated[
        str | None, typer.Option(help="bids: everyone's, if the dataset has no column for it.")
    ] = None,
    control: Annotated[
        list[str] | None, typer.Option(help="bids: a word that means control. Repeatable.")
    ] = None,
    one_age: Annotated[
        bool, typer.Option("--one-age", help="bids: a person's age holds for all sessions.")
    ] = False,
) -> None:
    """Make the table of scans of one of the 13 studies, or of a BIDS dataset.

    Ages are those at the scan. What was left out is printed by reason and written in full
    beside the manifest. The book's page *The 13 studies* says which tables are read.
    Example: `brainage manifest build --study ixi --table IXI.xls --images T1 --out ixi.csv`
    """
    from brainage_lib.data.bids import build_bids
    from brainage_lib.data.studies import build_manifest, describe_left_out
    from brainage_lib.tables.schemas import T1W_STATES

    allowed = [state for state in T1W_STATES if state != "simulated"]
    if t1w_state is not None and t1w_state not in allowed:
        raise WrongUsage(f"--t1w-state {t1w_state}: use one of {', '.join(allowed)}")
    state = t1w_state or "native-head"
    if study.lower() == "bids":
        for name, value in (
            ("table", table),
            ("sex-coding", sex_coding),
            ("layout", layout),
            ("convert", convert),
        ):
            if value:
                raise WrongUsage(f"--{name} has no place with --study bids: BIDS says it itself")
        built = build_bids(images, out, project, diagnosis, control or [], one_age, state)
    else:
        for name, value in (
            ("project", project), ("diagnosis", diagnosis), ("control", control),
            ("one-age", one_age), ("t1w-state", t1w_state and not layout),
        ):  # fmt: skip
            if value:
                needed = "--layout" if name == "t1w-state" else "--study bids"
                raise WrongUsage(f"--{name} goes with {needed} only")
        built = build_manifest(study, table or [], images, out, sex_coding, layout, state, convert)
    for note in built.notes:
        typer.echo(f"note: {note}")
    if built.left_out:
        typer.echo(describe_left_out(built.left_out))
        typer.echo(f"all {len(built.left_out)} are listed in {built.left_out_path}")
    rows = built.rows
    patients = rows.loc[rows["diagnosis"] != "control", "participant_id"].nunique()
    typer.echo(
        f"{out}: {len(rows)} scans of {rows['participant_id'].nunique()} participants "
        f"({patients} of them patients), ages {rows['age'].min():.1f}–{rows['age'].max():.1f}"
    )


@app.command("merge")
def manifest_merge(
    manifests: Annotated[list[Path], typer.Argument(help="Two manifests or more.")],
    out: Annotated[Path, typer.Option(help="The new one; all images must lie below its folder.")],
    likely_aliases: Annotated[
        bool,
        typer.Option(
            "--likely-aliases",
            help="Join people of CoRR and SLIM with the same number: likely one, not verified.",
        ),
    ] = False,
) -> None:
    """Make one table of scans from several, with the people whom `aliases.csv` joins.

    Example: `brainage manifest merge ixi.csv dlbs.csv --out all.csv`
    """
    from brainage_lib.data.merge import merge_manifests

    merged = merge_manifests(manifests, out, likely_aliases)
    if len(merged.likely) and not likely_aliases:
        typer.echo(
            f"note: {len(merged.likely)} people are likely in two of the studies (CoRR, SLIM), "
            "but nobody verified it; --likely-aliases keeps each pair together in splits"
        )
    if len(merged.aliases):
        typer.echo(f"{out.parent / 'aliases.csv'}: {len(merged.aliases)} pairs are one person")
    rows = merged.rows
    typer.echo(
        f"{out}: {len(rows)} scans of {rows['participant_id'].nunique()} participants in "
        f"{rows['project'].nunique()} projects"
    )
