"""Charts, brain pictures and tables for the pages: how numbers look, not how they are made.

Every function takes tables or arrays and returns something that a notebook shows: a chart
(`Figure`), a picture (`Picture`), a drawing (`Drawing`), a table (`Table`) or the ledger
(`Ledger`), each with a title that says the finding, a caption that says n and where the scans
come from, a description for those who do not see it, and its numbers as CSV.
"""

from brainage_lib.show.blood import generators_table, signal_against_blood
from brainage_lib.show.cohort import (
    ages_by_split,
    ages_by_study,
    cohort_table,
    counts_by_decade,
    partition_divergence,
)
from brainage_lib.show.compare import NO_RECORDING, lowest_counts, mae_by_group_table, three_columns
from brainage_lib.show.figure import Figure
from brainage_lib.show.figure3 import (
    age_density,
    error_quantiles,
    model_residuals,
    model_scatter,
)
from brainage_lib.show.groups import mae_by_group
from brainage_lib.show.honest import (
    by_sex_table,
    false_alarm_chart,
    guess_table,
    harmonised_table,
    inflation_table,
    ladder_null_table,
    left_out_chart,
    studies_chart,
)
from brainage_lib.show.intervals import (
    control_ladder,
    difference_sentence,
    differences,
    intervals,
)
from brainage_lib.show.ledger import Ledger, ledger_table
from brainage_lib.show.maps import gradcam_by_decade, maps_by_method
from brainage_lib.show.networks import (
    cbv_scores,
    generator_curve,
    predicted_against_age,
    training_curves,
)
from brainage_lib.show.page import Drawing, Picture, Shown
from brainage_lib.show.pictures import (
    cbv_maps,
    contact_sheet,
    scan_steps,
)
from brainage_lib.show.pipeline import pipeline
from brainage_lib.show.quality import reasons_table, verdict_counts
from brainage_lib.show.recorded import (
    Note,
    recorded_by_group,
    recorded_cohort,
    recorded_errors,
    recorded_quality,
    recorded_splits,
)
from brainage_lib.show.scan import age_among, draw_age_among, scan_planes
from brainage_lib.show.stability import stability_chart
from brainage_lib.show.stacking import anova_table, coefficients_table, table1
from brainage_lib.show.table import Measure, Table, glue_number, table
from brainage_lib.show.trials import (
    agreement_table,
    cascades,
    phantom_table,
    region_figure,
    statements_table,
    trials_table,
)
from brainage_lib.show.trust import (
    bias_slopes,
    bland_altman,
    coverage_by_group,
    patients_against_controls,
)
from brainage_lib.show.viewer import Viewer, brain_viewer
from brainage_lib.show.words import count, listed, number, p_value, percent, with_interval

__all__ = [
    "NO_RECORDING",
    "Drawing",
    "Figure",
    "Ledger",
    "Measure",
    "Note",
    "Picture",
    "Shown",
    "Table",
    "Viewer",
    "age_among",
    "age_density",
    "ages_by_split",
    "ages_by_study",
    "agreement_table",
    "anova_table",
    "bias_slopes",
    "bland_altman",
    "brain_viewer",
    "by_sex_table",
    "cascades",
    "cbv_maps",
    "cbv_scores",
    "coefficients_table",
    "cohort_table",
    "contact_sheet",
    "control_ladder",
    "count",
    "counts_by_decade",
    "coverage_by_group",
    "difference_sentence",
    "differences",
    "draw_age_among",
    "error_quantiles",
    "false_alarm_chart",
    "generator_curve",
    "generators_table",
    "glue_number",
    "gradcam_by_decade",
    "guess_table",
    "harmonised_table",
    "inflation_table",
    "intervals",
    "ladder_null_table",
    "ledger_table",
    "left_out_chart",
    "listed",
    "lowest_counts",
    "mae_by_group",
    "mae_by_group_table",
    "maps_by_method",
    "model_residuals",
    "model_scatter",
    "number",
    "p_value",
    "partition_divergence",
    "patients_against_controls",
    "percent",
    "phantom_table",
    "pipeline",
    "predicted_against_age",
    "reasons_table",
    "recorded_by_group",
    "recorded_cohort",
    "recorded_errors",
    "recorded_quality",
    "recorded_splits",
    "region_figure",
    "scan_planes",
    "scan_steps",
    "signal_against_blood",
    "stability_chart",
    "statements_table",
    "studies_chart",
    "table",
    "table1",
    "three_columns",
    "training_curves",
    "trials_table",
    "verdict_counts",
    "with_interval",
]
