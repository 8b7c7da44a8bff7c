"""What one GPU did, for the page on the paper's scale: tables of ``benchmarks/gpu.py``."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from brainage_lib.report.accuracy import NOT_YET, markdown_table

TABLES = ("facts", "steps", "maps", "scans", "hours")


def gpu_page(folder: Path) -> str:
    """Write the tables that ``benchmarks/gpu.py --out`` left.

    Parameters
    ----------
    folder : path
        ``book/recorded/gpu``.

    Returns
    -------
    str
        Markdown; a sentence that says so where nothing was timed.
    """
    if not all((folder / f"{name}.csv").is_file() for name in TABLES):
        return NOT_YET
    facts, steps, maps, scans, hours = (pd.read_csv(folder / f"{name}.csv") for name in TABLES)
    told = dict(zip(facts["what"], facts["value"], strict=True))
    best = steps.loc[steps["times"].idxmax()]
    parts = [
        f"**One {told['card']}, PyTorch {told['PyTorch']}, {told['date']}**: a training step of "
        f"{told['scans a step']} scans at {told['voxel, mm']} mm, {told['steps timed']} steps "
        f"timed. Fastest is {best['variant']}: {best['times']:.0f} times float32. Peaks of the "
        f"data sheet, in TFLOP/s: {told['peak, TFLOP/s']}; a step has "
        f"{float(told['TFLOP a step']):.2f} TFLOP.\n",
        markdown_table(
            ("VGG8", "ms a step", "Volumes a second", "Times float32", "GB", "TFLOP/s",
             "Of peak", "Card busy", "Loss, years"),
            [(row["variant"], f"{row['ms']:.0f}", f"{row['volumes_a_second']:.1f}",
              f"{row['times']:.1f}", f"{row['gb']:.1f}", f"{row['tflops']:.1f}",
              _share(row["of_peak"], 1), _share(row["busy"], 0), f"{row['loss']:.2f}")
             for row in steps.to_dict("records")],
        ),
        _losses(steps),
        "AICBV of one scan: "
        + ", ".join(f"{row['seconds_a_scan']:.2f} s ({row['size']} size)"
                    for row in maps.to_dict("records"))
        + ".\n",
        markdown_table(
            ("Selective scan, forward and backward", "Steps", "ms", "Times ours", "GB",
             "Off float64, output", "Off float64, gradients"),
            [(row["name"], f"{row['length']:,}", f"{row['ms']:.1f}", f"{row['times_ours']:.1f}",
              f"{row['gb']:.2f}", f"{row['off_output']:.0e}", f"{row['off_gradients']:.0e}")
             for row in scans.to_dict("records")],
        ),
        f"({scans['channels'].iloc[0]:,} channels, 16 states; distances are relative, L2, of the "
        "gradients the largest.)\n",
        "The profile `paper` on this card, from these figures: "
        + "; ".join(f"{row['what']} {row['hours']:.1f} h" for row in hours.to_dict("records"))
        + ".\n",
    ]  # fmt: skip
    return "\n".join(parts)


def _share(value: float, digits: int) -> str:
    return "–" if pd.isna(value) else f"{100 * value:.{digits}f} %"


def _losses(steps: pd.DataFrame) -> str:
    rounded = steps["variant"].str.contains("TF32|bf16")
    exact, others = steps[~rounded]["loss"], steps[rounded]["loss"]
    return (
        f"The loss after so few steps goes up and down: in float32 it ends at "
        f"{exact.min():.2f} to {exact.max():.2f}, by order of memory and compiler; with rounded "
        f"factors at {others.min():.2f} to {others.max():.2f}. That tells of no harm, and it "
        "is no proof that there is none: no network was trained to its end in both ways.\n"
    )
