"""Is this scan a whole brain in MNI152 space? Measures, and a verdict that knows no age."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from scipy import ndimage

from brainage_lib.imaging.grids import Grid
from brainage_lib.imaging.intensity import brain_mask
from brainage_lib.imaging.template import template
from brainage_lib.imaging.turn import HALF_TURN, measure_turn

SMOOTH_MM = 4.0
"""Sigma of the Gaussian before the correlation with the template: folds of the cortex differ
between people, and only place and outline are to be compared."""

RIM_MM = 8.0
"""Depth below the template's surface from which on every brain should be: sulci that widen
with age, and small differences of the outline, stay above it."""


class Limits(Protocol):
    """The limits of the verdict: ``Profile.quality`` has these fields."""

    brain_ml: tuple[float, float]
    template_correlation: float
    template_correlation_look: float
    edge_fraction: float
    turn_degrees: float


def measure_quality(volume: np.ndarray, target: Grid) -> dict[str, float]:
    """Measure a brain on its grid.

    Parameters
    ----------
    volume : (x, y, z) array
        T1w, zero outside the brain, any unit.
    target : Grid
        The grid that it lies on.

    Returns
    -------
    dict
        The measure columns of the quality table:

        ``brain_ml``
            Volume of the brain mask, ml of MNI152 space.
        ``contrast``
            Median of grey over median of white matter, where the template is surely so.
        ``snr``
            Median of white matter over its noise: the median absolute difference of a voxel
            from the mean of its six neighbours (times 1.4826 and sqrt(6/7), so that it is
            the SD of independent Gaussian noise).
        ``template_correlation``
            Pearson correlation with the MNI152 template, both smoothed by ``SMOOTH_MM``,
            over the template's brain. Low where a scan is tilted, badly registered or not
            in MNI152 space, or where bright skull was left in.
        ``edge_fraction``
            Share of the template's inner brain (``RIM_MM`` below its surface) that is
            empty here: large where a brain was cut off at an edge, or lies elsewhere.
        ``turn_degrees``
            Angle by which it would have to be turned to look most like the template, in steps
            of 10; 180 if front and back, or top and bottom, are exchanged (`measure_turn`).

        What cannot be computed is NaN.
    """
    reference = template(target)
    mask = brain_mask(volume)
    white = mask & (reference.white > 0.9)
    grey = mask & (reference.grey > 0.7)
    white_level = float(np.median(volume[white])) if white.any() else np.nan
    grey_level = float(np.median(volume[grey])) if grey.any() else np.nan
    return {
        "brain_ml": float(np.count_nonzero(mask) * target.mm**3 / 1000),
        "contrast": _ratio(grey_level, white_level),
        "snr": _ratio(white_level, _noise(volume, white)),
        "template_correlation": _correlation(volume, target),
        "edge_fraction": _missing(mask, target),
        "turn_degrees": measure_turn(volume, target),
    }


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else float("nan")


def _noise(volume: np.ndarray, where: np.ndarray) -> float:
    inner = ndimage.binary_erosion(where)
    if not inner.any():
        return float("nan")
    six = ndimage.generate_binary_structure(3, 1).astype(np.float32)
    six[1, 1, 1] = 0
    difference = volume - ndimage.convolve(volume.astype(np.float32), six / 6)
    return float(1.4826 * np.sqrt(6 / 7) * np.median(np.abs(difference[inner])))


def _correlation(volume: np.ndarray, target: Grid) -> float:
    reference = template(target)
    sigma = SMOOTH_MM / target.mm
    ours = ndimage.gaussian_filter(volume.astype(np.float32), sigma)[reference.mask]
    theirs = ndimage.gaussian_filter(reference.t1w, sigma)[reference.mask]
    if ours.std() == 0:
        return float("nan")
    return float(np.corrcoef(ours, theirs)[0, 1])


def _missing(mask: np.ndarray, target: Grid) -> float:
    steps = max(1, round(RIM_MM / target.mm))
    inner = ndimage.binary_erosion(template(target).mask, iterations=steps)
    return float(np.count_nonzero(inner & ~mask) / np.count_nonzero(inner))


def judge(measures: Mapping[str, float], settings: Limits) -> tuple[str, list[str]]:
    """Turn the measures of one scan into a verdict; nothing is asked about its age.

    Parameters
    ----------
    measures : mapping
        As `measure_quality` returns them.
    settings : Limits
        ``Profile.quality``.

    Returns
    -------
    verdict : {"keep", "look", "drop"}
        ``look``: usable, but someone should look at it.
    reasons : list of str
        Why it is not ``keep``; a phrase each, with the value and the limit.
    """
    drop: list[str] = []
    look: list[str] = []
    low, high = settings.brain_ml
    brain, correlation = measures["brain_ml"], measures["template_correlation"]
    if not brain >= low:
        drop.append(f"brain of {brain:.0f} ml, under {low:.0f}: part of it is missing")
    elif brain > high:
        drop.append(f"brain of {brain:.0f} ml, over {high:.0f}: not skull-stripped")
    if not correlation >= settings.template_correlation:
        drop.append(
            f"correlation with the template {correlation:.2f}, "
            f"under {settings.template_correlation:.2f}: badly registered, or skull left in"
        )
    elif correlation < settings.template_correlation_look:
        look.append(
            f"correlation with the template {correlation:.2f}, "
            f"under {settings.template_correlation_look:.2f}: look at the registration"
        )
    if measures["edge_fraction"] > settings.edge_fraction:
        drop.append(
            f"{measures['edge_fraction']:.0%} of the inner brain is empty, "
            f"over {settings.edge_fraction:.0%}: cut off, or not in place"
        )
    turn = measures["turn_degrees"]
    if turn >= HALF_TURN:
        drop.append("more like the template with front and back, or top and bottom, exchanged")
    elif turn > settings.turn_degrees:
        drop.append(
            f"turned by about {turn:.0f}°, over {settings.turn_degrees:.0f}°: badly registered"
        )
    if drop:
        return "drop", drop
    return ("look", look) if look else ("keep", [])
