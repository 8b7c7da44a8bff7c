"""Fig. 2, the pipeline from a scan to an age, as a drawing that takes the page's colours."""

from __future__ import annotations

import html

import pandas as pd

from brainage_lib.show.colours import MODEL_COLOURS, NEUTRAL
from brainage_lib.show.page import Drawing

WIDTH, HEIGHT = 560, 520

# name, left, top, width, height, colour, lines of text
_BOXES = (
    ("scan", 110, 8, 340, 64, NEUTRAL,
     ("T1w scan", "brain, MNI152 by an affine,", "divided by the mean of its top 1 %")),
    ("generator", 310, 112, 230, 48, MODEL_COLOURS["A"],
     ("AICBV generator", "CNN with nine VSS3D blocks")),
    ("map", 310, 196, 230, 48, MODEL_COLOURS["A"],
     ("AICBV", "synthesised blood volume")),
    ("net T", 20, 284, 230, 48, MODEL_COLOURS["T"],
     ("VGG8 for T1w", "five blocks, 16 to 256 channels")),
    ("net A", 310, 284, 230, 48, MODEL_COLOURS["A"],
     ("VGG8 for AICBV", "same network, own weights")),
    ("sex", 20, 384, 96, 48, MODEL_COLOURS["TAS"], ("sex", "TAS only")),
    ("stacking", 160, 384, 240, 48, MODEL_COLOURS["TA"],
     ("linear regression", "T, A, TA or TAS")),
    ("age", 160, 468, 240, 40, NEUTRAL, ("predicted age (years)",)),
)  # fmt: skip

# points of each arrow, and the text beside it (with its place)
_ARROWS = (
    (((180, 72), (135, 112), (135, 284)), None),
    (((380, 72), (425, 112)), None),
    (((425, 160), (425, 196)), None),
    (((425, 244), (425, 284)), None),
    (((135, 332), (220, 384)), ("T, years", 124, 368)),
    (((425, 332), (340, 384)), ("A, years", 404, 368)),
    (((116, 408), (160, 408)), None),
    (((280, 432), (280, 468)), None),
)

ALT = (
    "Drawing: a T1-weighted scan goes to one VGG8 network, which predicts an age T, and to the "
    "AICBV generator, whose synthesised blood volume goes to a second VGG8 network, which predicts "
    "an age A. A linear regression of T, A and, in the model TAS, sex gives the predicted age."
)


def pipeline() -> Drawing:
    """Fig. 2: from a scan to a predicted age."""
    boxes = "".join(_box(*box[1:]) for box in _BOXES)
    arrows = "".join(_arrow(points, text) for points, text in _ARROWS)
    svg = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" '
        f'aria-label="{html.escape(ALT)}" font-family="system-ui, sans-serif" '
        f'fill="currentColor" stroke="none">{arrows}{boxes}</svg>'
    )
    data = pd.DataFrame(
        [{"step": box[0], "text": "; ".join(box[6])} for box in _BOXES], columns=["step", "text"]
    )
    return Drawing(
        "One scan, two networks, one regression",
        "The paper's pipeline, drawn anew. Blue: T1w alone; vermilion: AICBV, which is itself "
        "computed from the T1w; green and purple: stacking.",
        ALT,
        data,
        "pipeline",
        svg,
    )


def _box(x: int, y: int, width: int, height: int, colour: str, lines: tuple[str, ...]) -> str:
    first = y + height / 2 - 8.5 * (len(lines) - 1) + 5
    text = "".join(
        f'<text x="{x + width / 2:g}" y="{first + 17 * number:g}" text-anchor="middle" '
        f'font-size="{13 if number else 15}" font-weight="{400 if number else 600}">'
        f"{html.escape(line)}</text>"
        for number, line in enumerate(lines)
    )
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="{colour}" '
        f'fill-opacity="0.12" stroke="{colour}" stroke-width="2"/>{text}'
    )


def _arrow(points: tuple[tuple[int, int], ...], text: tuple[str, int, int] | None) -> str:
    path = " ".join(f"{x},{y}" for x, y in points)
    (x0, y0), (x1, y1) = points[-2:]
    length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    head = [
        (x1, y1),
        (x1 - 10 * dx - 5 * dy, y1 - 10 * dy + 5 * dx),
        (x1 - 10 * dx + 5 * dy, y1 - 10 * dy - 5 * dx),
    ]
    tip = " ".join(f"{x:.1f},{y:.1f}" for x, y in head)
    label = ""
    if text:
        words, x, y = text
        anchor = "end" if x < WIDTH / 2 else "start"
        label = f'<text x="{x}" y="{y}" font-size="13" text-anchor="{anchor}">{words}</text>'
    return (
        f'<polyline points="{path}" fill="none" stroke="currentColor" stroke-width="1.5"/>'
        f'<polygon points="{tip}"/>{label}'
    )
