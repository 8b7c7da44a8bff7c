"""Findings 30–46: words, design, leakage, regions. Most are quoted: their text is data."""

from __future__ import annotations

from importlib.resources import files

import pandas as pd

from brainage_lib.stats.claims.arithmetic import convolution_geometry, vgg8_parameters
from brainage_lib.stats.claims.by_age import older_populations
from brainage_lib.stats.claims.finding import Finding, Printed, percent

SECTION = "Words, design, leakage"
# MNI152 at 1 mm; the paper states no input size, nor kernels, which we take to be 3³.
INPUT = (182, 218, 182)
CHANNELS = (16, 32, 64, 128, 256)
DENSE = (512, 128, 1)


def findings(paper: Printed) -> list[Finding]:
    """Compute findings 30 and 34, and read the quoted ones."""
    found = [_headline(paper), _regions(paper), *_quoted(paper)]
    return sorted(found, key=lambda finding: finding.id)


def _headline(paper: Printed) -> Finding:
    gap = paper.mae["TA"] - paper.number["mae_headline"]
    return Finding(
        30,
        SECTION,
        "The model of both images reaches MAE 3.95",
        "3.95, R² 0.943 (abstract, key points)",
        f"{paper.number['mae_headline']:.2f} is the model with sex (TAS); that of the two images "
        f"is {paper.mae['TA']:.2f}, {gap:.2f} years more; R² {paper.r2['TA']:.3f} is of both",
        "contradicted" if gap > 0.005 else "holds",
        "by Table 1; minor",
        numbers={"gap": gap},
    )


def _regions(paper: Printed) -> Finding:
    geometry = convolution_geometry(INPUT, len(CHANNELS))
    shown = round(geometry["cells"] * paper.number["gradcam_percent"] / 100)
    total, dense = vgg8_parameters(geometry["pooled"], CHANNELS, DENSE)
    return Finding(
        34,
        SECTION,
        "The two networks look at mutually exclusive regions",
        "Figure 4, no measure of overlap",
        f"on {INPUT[0]}×{INPUT[1]}×{INPUT[2]} voxels of 1 mm the last convolution has "
        f"{geometry['cells']:,} cells of {geometry['spacing']} mm with a receptive field of "
        f"{geometry['field']} mm; the top 20 % are {shown} cells; {total / 1e6:.1f} M parameters, "
        f"{percent(dense / total)} of them in the dense layers, for about {paper.n_train:,} scans",
        "contradicted",
        "§3.4 itself places both encoders on the medial prefrontal cortex of the young; dentate "
        "gyrus and inferior frontal gyrus are far below that resolution (input size and kernels "
        "are our reading)",
        numbers={**geometry, "shown": shown, "parameters": total, "dense_share": dense / total},
    )


def _quoted(paper: Printed) -> list[Finding]:
    source = files("brainage_lib.stats.claims").joinpath("quoted.csv")
    with source.open(encoding="utf-8") as stream:
        rows = pd.read_csv(stream, keep_default_na=False).to_dict("records")
    # Two of them rest on a little arithmetic, which is done here all the same.
    older, older_numbers = older_populations(paper)
    tenth = paper.n_scans / paper.number["partitions"]
    share = paper.n_test / paper.n_scans
    arithmetic = {
        31: (
            f"{paper.n_scans:,} / {paper.number['partitions']:.0f} = {tenth:.1f}; {paper.n_test} "
            f"is {percent(share, 2)}",
            {"tenth": tenth, "share": share},
        ),
        42: (older, older_numbers),
    }
    found = []
    for row in rows:
        number = int(row["id"])
        recomputed, numbers = arithmetic.get(number, (row["recomputed"], {}))
        found.append(
            Finding(
                number,
                SECTION,
                row["claim"],
                row["printed"],
                recomputed,
                row["verdict"],
                row["reason"],
                kind="quoted",
                numbers=numbers,
            )
        )
    return found
