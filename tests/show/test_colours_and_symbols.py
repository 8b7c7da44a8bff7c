"""Colours that mean something are the same everywhere and can be told apart by everyone."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from brainage_lib.show.colours import (
    MODEL_COLOURS,
    MODEL_SYMBOLS,
    QUALITY_COLOURS,
    QUALITY_PATTERNS,
    ROLE_COLOURS,
    ROLE_SYMBOLS,
    SEX_COLOURS,
    SEX_SYMBOLS,
    VERDICTS,
)

WHITE, DARK = "#ffffff", "#14181e"  # pages of the theme; its darkest ground is darker still

# Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB.
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(first: str, second: str) -> float:
    lights = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (first, second))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.clip(np.array(matrix) @ rgb, 0, None) / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("page", [WHITE, DARK])
@pytest.mark.parametrize(
    "colours",
    [MODEL_COLOURS, ROLE_COLOURS, SEX_COLOURS, QUALITY_COLOURS,
     {verdict: colour for verdict, (colour, _) in VERDICTS.items()}],
)  # fmt: skip
def test_marks_stand_out_on_light_and_dark_pages(colours, page):
    for name, colour in colours.items():
        assert contrast(colour, page) >= 3.0, name


@pytest.mark.parametrize("kind", DEFICIENCIES)
def test_models_can_be_told_apart_with_any_colour_vision(kind):
    seen = {
        name: lab(np.array(DEFICIENCIES[kind]) @ linear(c)) for name, c in MODEL_COLOURS.items()
    }
    for first, second in combinations(seen, 2):
        # About 2.3 is just noticeable.
        assert np.linalg.norm(seen[first] - seen[second]) > 12, (first, second)


@pytest.mark.parametrize(
    "signs",
    [MODEL_SYMBOLS, ROLE_SYMBOLS, SEX_SYMBOLS, QUALITY_PATTERNS,
     {verdict: sign for verdict, (_, sign) in VERDICTS.items()}],
)  # fmt: skip
def test_no_meaning_hangs_on_colour_alone(signs):
    assert len(set(signs.values())) == len(signs)


def models_of(shown) -> dict[str, set[tuple[str, str]]]:
    """Colour and symbol of each model in a chart, by the name of the trace or its hover text."""
    found: dict[str, set] = {}
    for trace in shown.fig.data:
        if trace.type != "scatter" or not trace.marker.color:
            continue
        name = (trace.name or "").split(" ")[0].rstrip(",")
        symbol = (trace.marker.symbol or "").removesuffix("-open")
        found.setdefault(name, set()).add((trace.marker.color, symbol))
    return found


def test_each_model_has_one_colour_and_symbol_everywhere(everything):
    for name in ("mae_by_age", "mae_by_study"):
        for model, seen in models_of(everything[name]).items():
            assert seen == {(MODEL_COLOURS[model], MODEL_SYMBOLS[model])}
    for name in ("model_scatter", "model_residuals"):
        marks = [t for t in everything[name].fig.data if t.mode == "markers"]
        assert [(t.marker.color, t.marker.symbol) for t in marks] == [
            (MODEL_COLOURS[model], MODEL_SYMBOLS[model]) for model in MODEL_COLOURS
        ]
    boxes = [trace.line.color for trace in everything["error_quantiles"].fig.data]
    assert boxes == list(MODEL_COLOURS.values())
    for name in ("predicted_against_age", "training_curves"):
        marks = [t for t in everything[name].fig.data if t.mode == "markers"]
        assert [t.marker.color for t in marks] == [MODEL_COLOURS["T"], MODEL_COLOURS["A"]]
