"""Where a network looked, and tests that such maps can fail."""

from brainage_lib.explain.cohort import Attribution, attribute, mean_cbv, overlap_table
from brainage_lib.explain.faithful import Curves, exchange
from brainage_lib.explain.finished import MeanMaps, recorded_maps
from brainage_lib.explain.gradcam import (
    GroupMap,
    best_slices,
    cell_mm,
    grad_cam,
    grad_cam_blocks,
    group_maps,
    receptive_field_mm,
    resolution,
    top_fifth,
)
from brainage_lib.explain.methods import (
    METHODS,
    integrated_gradients,
    make_mapper,
    method_resolution,
    occlusion,
    smooth_grad,
)
from brainage_lib.explain.null import surrogate
from brainage_lib.explain.phantom import (
    Phantom,
    edges,
    learn,
    make_phantom,
    rank_methods,
    reading_error,
)
from brainage_lib.explain.regions import Atlas, atlas, region_shares, region_table, share_table
from brainage_lib.explain.sample import Look, Maps, Sample
from brainage_lib.explain.sanity import (
    RandomisedStep,
    cascade,
    mass_outside,
    overlap,
    randomisation_test,
    similarity_within,
)
from brainage_lib.explain.statements import try_statements
from brainage_lib.explain.trials import (
    Trials,
    block_steps,
    finest_block,
    looks_of,
    method_agreement,
    resolvable,
    try_maps,
)
from brainage_lib.explain.truth import Hits, hits

__all__ = [
    "METHODS",
    "Atlas",
    "Attribution",
    "Curves",
    "GroupMap",
    "Hits",
    "Look",
    "Maps",
    "MeanMaps",
    "Phantom",
    "RandomisedStep",
    "Sample",
    "Trials",
    "atlas",
    "attribute",
    "best_slices",
    "block_steps",
    "cascade",
    "cell_mm",
    "edges",
    "exchange",
    "finest_block",
    "grad_cam",
    "grad_cam_blocks",
    "group_maps",
    "hits",
    "integrated_gradients",
    "learn",
    "looks_of",
    "make_mapper",
    "make_phantom",
    "mass_outside",
    "mean_cbv",
    "method_agreement",
    "method_resolution",
    "occlusion",
    "overlap",
    "overlap_table",
    "randomisation_test",
    "rank_methods",
    "reading_error",
    "receptive_field_mm",
    "recorded_maps",
    "region_shares",
    "region_table",
    "resolution",
    "resolvable",
    "share_table",
    "similarity_within",
    "smooth_grad",
    "surrogate",
    "top_fifth",
    "try_maps",
    "try_statements",
]
