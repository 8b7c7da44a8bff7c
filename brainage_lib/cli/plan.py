"""``brainage plan``: what a run will do and cost. ``brainage part``: one part of it, for a job."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Annotated

import typer

from brainage_lib.errors import WrongUsage


def plan_command(
    profile: Annotated[str, typer.Option(help="Name in workflow/profiles, or a YAML file.")],
    manifest: Annotated[
        Path | None, typer.Option(help="A manifest in place of the profile's cohort.")
    ] = None,
    gpus: Annotated[int | None, typer.Option(min=0, help="GPUs; those that are here.")] = None,
    cores: Annotated[int | None, typer.Option(min=1, help="Cores; those that are here.")] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Time a few steps here, for minutes.")
    ] = False,
    into: Annotated[
        Path | None, typer.Option(help="Where the run would lie; $BRAINAGE_RUNS unless given.")
    ] = None,
) -> None:
    """Say what a run will do and cost, before anything is computed.

    Scans that go on, jobs of each kind, disk, peak memory, and hours with the figures that they
    come from. A disk that is too small is refused.
    Example: `brainage plan --profile paper --manifest scans.csv --gpus 1 --cores 16`
    """
    from brainage_lib.run import count_gpus, load_profile, locate
    from brainage_lib.train.plan import check_disk, plan_run

    is_path = os.sep in profile or profile.endswith(".yml")
    settings = load_profile(profile if is_path else Path("workflow/profiles") / f"{profile}.yml")
    table = manifest or Path(settings.cohort)
    here = count_gpus()
    if settings.device == "cpu":
        here = 0
    elif settings.device.startswith("cuda") and gpus is None and not here:
        raise WrongUsage(
            f"device: {settings.device} is asked for, and there is no GPU here; give --gpus to "
            "plan for another computer, or device: cpu"
        )
    n_gpus = here if gpus is None else gpus
    n_cores = cores or os.cpu_count() or 1
    costs = _costs(settings, table, n_gpus, calibrate)
    plan = plan_run(settings, table, n_gpus, n_cores, costs)
    typer.echo(f"Plan of profile {settings.name} on {n_gpus} GPUs and {n_cores} cores")
    if settings.for_speed:
        typer.echo(f"For speed, and not as the paper: {', '.join(settings.for_speed)}")
    apart = f", {plan.patients} of them patients, put apart" if plan.patients else ""
    typer.echo(f"\nScans: {plan.scans} go on{apart}; {plan.aside} put aside")
    for reason in plan.reasons:
        typer.echo(f"  {reason}")
    _say("Jobs", {name: str(n) for name, n in plan.jobs.items() if n})
    whole = plan.disk | {"all": sum(plan.disk.values())}
    _say("Disk", {name: f"{size / 1e9:.2f} GB" for name, size in whole.items()})
    _say("Peak memory", {name: f"{size / 1e9:.2f} GB" for name, size in plan.memory.items()})
    hours = plan.hours | {"all": sum(plan.hours.values())}
    _say("Hours", {name: _hours(value) for name, value in hours.items()})
    typer.echo("\nThe hours come from")
    for source in plan.sources:
        typer.echo(f"  {source}")
    check_disk(plan, into or locate(settings.name))


def _hours(value: float) -> str:
    return "not known" if math.isnan(value) else f"{value:.2f} h"


def _say(head: str, lines: dict[str, str]) -> None:
    typer.echo(f"\n{head}")
    for name, value in lines.items():
        typer.echo(f"  {value:>12}  {name}")


def _costs(settings, table: Path, gpus: int, calibrate: bool):
    import pandas as pd

    from brainage_lib.tables import examine_manifest
    from brainage_lib.train.costs import committed_costs, measure_costs
    from brainage_lib.train.settings import load_recipe

    costs = committed_costs()
    if not calibrate:
        return costs
    scans, findings = examine_manifest(table)
    bad = {line - 2 for line, _ in findings}
    good = [row for row in range(len(scans)) if row not in bad]
    scan = (dict(scans.iloc[good[0]]), str(table.resolve().parent)) if good else None
    names = list(dict.fromkeys(load_recipe(name).network for name in settings.recipes))
    device = settings.device if gpus else "cpu"
    if gpus and device == "auto":
        device = "cuda"
    measured = measure_costs(names, settings.generator.size, settings.batch, device, scan)
    return pd.concat([costs, measured], ignore_index=True)


def part_command(
    run: Annotated[str, typer.Argument(help="Name of a run, or path of its folder.")],
    kind: Annotated[str, typer.Argument(help="prepare, generator or synthesise.")],
    part: Annotated[int, typer.Argument(min=0, help="Which part, from 0.")] = 0,
) -> None:
    """Do one part of a run whose profile has `scans_a_job`: a job of its own, on any computer.

    Example: `brainage part paper prepare 7`
    """
    from brainage_lib.run import Run, locate

    found = Run(locate(run))
    if kind == "prepare":
        from brainage_lib.data.volumes import prepare_part

        prepare_part(found, part)
    elif kind in ("generator", "synthesise"):
        from brainage_lib.train.aicbv import fit_aicbv, synthesise_part

        fit_aicbv(found) if kind == "generator" else synthesise_part(found, part)
    else:
        raise WrongUsage(f"{kind!r} is no kind of part; there are: prepare, generator, synthesise")


def register(app: typer.Typer) -> None:
    """Add the commands to ``brainage``."""
    app.command("plan")(plan_command)
    app.command("part")(part_command)
