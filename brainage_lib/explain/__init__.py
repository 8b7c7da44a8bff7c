"""Where a network looked, and tests that such maps can fail."""

from brainage_lib.explain.cohort import Attribution, attribute, overlap_table, unseen
from brainage_lib.explain.finished import MeanMaps, recorded_maps
from brainage_lib.explain.gradcam import (
    GroupMap,
    best_slices,
    cell_mm,
    grad_cam,
    group_maps,
    receptive_field_mm,
    resolution,
    top_fifth,
)
from brainage_lib.explain.sanity import (
    RandomisedStep,
    cascade,
    mass_outside,
    overlap,
    randomisation_test,
    similarity_within,
)

__all__ = [
    "Attribution",
    "GroupMap",
    "MeanMaps",
    "RandomisedStep",
    "attribute",
    "best_slices",
    "cascade",
    "cell_mm",
    "grad_cam",
    "group_maps",
    "mass_outside",
    "overlap",
    "overlap_table",
    "randomisation_test",
    "receptive_field_mm",
    "recorded_maps",
    "resolution",
    "similarity_within",
    "top_fifth",
    "unseen",
]
