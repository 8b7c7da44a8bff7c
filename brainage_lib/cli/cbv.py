"""``brainage cbv`` and ``brainage cbv-train``: AICBV of one scan, and weights for it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from brainage_lib.errors import WrongUsage


def cbv_command(
    t1w: Annotated[str, typer.Argument(help="A NIfTI file, a DICOM folder, or sim:… .")],
    out: Annotated[Path, typer.Option(help="The map to write (.nii.gz), ml/100 ml, in MNI152.")],
    run: Annotated[
        str | None, typer.Option(help="Name of a run, or path of its folder: its generator.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weights of a generator (.safetensors).")
    ] = None,
    t1w_state: Annotated[
        str, typer.Option(help="What was done to it: native-head, native-brain or mni152-brain.")
    ] = "native-head",
    grid_mm: Annotated[
        int | None, typer.Option(min=1, max=4, help="Refuse weights of another grid, mm.")
    ] = None,
    patch: Annotated[
        int | None, typer.Option(help="Side of a window in voxels, in place of the training's.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Where preprocessed scans are kept; nowhere unless given.")
    ] = None,
) -> None:
    """Make the AICBV map of one scan: blood volume as a generator guesses it from the T1w.

    A simulation-trained prior, not a measurement. The generator is that of a run, a file of
    weights, or the shipped one: of the finest grid that has one, or of --grid-mm. It decides the
    grid of the map. Example: `brainage cbv T1w.nii.gz --out cbv.nii.gz`
    """
    if run is not None and weights is not None:
        raise WrongUsage("--run and --weights both name a generator; give one of them")
    from brainage_lib.models import open_generator
    from brainage_lib.models.shipped import shipped_weights
    from brainage_lib.predict.cbv import cbv_of_scan, check_output, generator_of, save_map
    from brainage_lib.run import Run, locate, progress
    from brainage_lib.tables.schemas import T1W_STATES

    allowed = [state for state in T1W_STATES if state != "simulated"]
    if t1w_state not in allowed:
        raise WrongUsage(f"--t1w-state {t1w_state}: use one of {', '.join(allowed)}")
    check_output(out)
    if run is not None:
        generator = generator_of(Run(locate(run)))
    else:
        generator = open_generator(weights or shipped_weights(grid_mm))
    if patch is not None:
        generator = generator.with_patch(patch)
    if grid_mm not in (None, generator.grid_mm):
        raise WrongUsage(
            f"--grid-mm {grid_mm}: these weights were trained for {generator.grid_mm} mm and know "
            f"nothing of other voxels; leave --grid-mm out, or give weights for {grid_mm} mm"
        )
    found = cbv_of_scan(t1w, generator, t1w_state, cache, partial(progress, description="AICBV"))
    save_map(found, out)
    for reason in found.reasons:
        typer.echo(f"brainage: look at this scan: {reason}", err=True)
    brain = found.cbv[found.t1w > 0]
    typer.echo(
        f"{out}: {found.grid_mm} mm, mean {brain.mean():.2f} ml/100 ml over {brain.size:,} brain "
        "voxels; a simulation-trained prior, not a measurement"
    )


def cbv_train_command(
    out: Annotated[Path, typer.Option(help="Folder for weights and card; a second call goes on.")],
    grid_mm: Annotated[int, typer.Option(min=1, max=4, help="Voxel of the MNI152 grid, mm.")] = 4,
    size: Annotated[str, typer.Option(help="demo, lite or paper.")] = "lite",
    people: Annotated[
        int | None, typer.Option(min=1, help="Simulated people to learn from; 400 unless pairs.")
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(help="Instead: a CSV table of MNI152 brains, pre and post contrast."),
    ] = None,
    steps: Annotated[int, typer.Option(min=1)] = 4_000,
    batch: Annotated[int, typer.Option(min=1, help="Patches a step.")] = 2,
    patch: Annotated[
        int | None, typer.Option(help="Side of a patch, voxels, a multiple of 16.")
    ] = None,
    learning_rate: Annotated[float, typer.Option(help="At the start; it falls to zero.")] = 2e-4,
    orders: Annotated[str, typer.Option(help="hilbert+snake or snake4.")] = "hilbert+snake",
    checkpointing: Annotated[
        bool, typer.Option("--checkpointing", help="Less memory, a fourth more time.")
    ] = False,
    precision: Annotated[
        str, typer.Option(help="float32, or tf32 for speed on a card that has it.")
    ] = "float32",
    seed: Annotated[int, typer.Option(min=0)] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Processes that make volumes.")] = 2,
) -> None:
    """Train weights of a generator on simulated people, or on pairs before and after contrast.

    Writes `aicbv-<grid>mm.safetensors` in half precision and a model card beside it. Killed, the
    same line goes on where it stopped.
    Example: `brainage cbv-train --out lite4mm --grid-mm 4`
    """
    from pydantic import ValidationError

    from brainage_lib.run import GeneratorSettings
    from brainage_lib.train.shipping import OVERLAP, PATCH, make_weights

    try:
        settings = GeneratorSettings(
            size=size, orders=orders, patch=patch or PATCH[grid_mm], overlap=OVERLAP[grid_mm],
            people=400 if people is None and pairs is None else people,
            pairs=None if pairs is None else str(pairs.resolve()), steps=steps, batch=batch,
            learning_rate=learning_rate, checkpointing=checkpointing, precision=precision,
        )  # fmt: skip
    except ValidationError as error:
        said = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}".lstrip(": ") for e in error.errors()]
        raise WrongUsage("\n".join(said)) from None
    made = make_weights(settings, grid_mm, seed, out, workers)
    typer.echo(f"{made}: {made.stat().st_size / 1e6:.1f} MB, card {made.with_suffix('.json').name}")


def register(app: typer.Typer) -> None:
    """Add the commands to ``brainage``."""
    app.command("cbv")(cbv_command)
    app.command("cbv-train")(cbv_train_command)
