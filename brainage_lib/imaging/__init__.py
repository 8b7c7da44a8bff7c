"""One volume: open and check it, put it on a grid, normalise it, judge its quality."""

from brainage_lib.imaging.disturbing import DISTURBANCES, Disturbance, disturb
from brainage_lib.imaging.grids import Grid, grid
from brainage_lib.imaging.intensity import brain_mask, normalise, top_mean
from brainage_lib.imaging.native import NativeBrain, preprocess
from brainage_lib.imaging.opening import DEFECTS, open_image
from brainage_lib.imaging.quality import judge, measure_quality
from brainage_lib.imaging.resampling import carry_back, check_space, resample, to_grid
from brainage_lib.imaging.state import guess_state
from brainage_lib.imaging.template import Template, template

__all__ = [
    "DEFECTS",
    "DISTURBANCES",
    "Disturbance",
    "Grid",
    "NativeBrain",
    "Template",
    "brain_mask",
    "carry_back",
    "check_space",
    "disturb",
    "grid",
    "guess_state",
    "judge",
    "measure_quality",
    "normalise",
    "open_image",
    "preprocess",
    "resample",
    "template",
    "to_grid",
    "top_mean",
]
