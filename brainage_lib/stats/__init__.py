"""Numbers in tables: everything that is computed from a predictions table.

Nothing here knows images or networks; statsmodels and scipy are imported when a function
needs them.
"""

from brainage_lib.stats.bias import LinearBias, fit_bias, fold_corrected_gaps
from brainage_lib.stats.calibration import calibrate, save_calibration_json
from brainage_lib.stats.claims import ledger, observe
from brainage_lib.stats.conformal import conformal_half_width, fold_intervals
from brainage_lib.stats.disclosure import exposed_cells, hidden_groups, hide_cells, hide_groups
from brainage_lib.stats.divergence import kl_to_whole
from brainage_lib.stats.error_groups import age_density, error_quantiles, hide_by_group
from brainage_lib.stats.ladder import (
    ladder,
    ladder_differences,
    ladder_verdict,
    paper_ladder,
)
from brainage_lib.stats.metrics import (
    age_sd,
    bootstrap_p,
    holm,
    mae,
    mae_with_interval,
    mse,
    paired_differences,
    percentile_interval,
    r2,
    resampled_sums,
)
from brainage_lib.stats.model_file import load_model_json, save_model_json, stacked_age
from brainage_lib.stats.nested import anova, f_from_errors, nested_f
from brainage_lib.stats.network_errors import network_errors
from brainage_lib.stats.paper import (
    paper_anova,
    paper_claims,
    paper_coefficients,
    paper_numbers,
    paper_table1,
    paper_table2,
    paper_table3,
)
from brainage_lib.stats.power import (
    detectable_gain,
    detectable_sentence,
    power,
    scans_needed,
)
from brainage_lib.stats.stacking import Stacked, evaluated, stack
from brainage_lib.stats.summary import compare_models, table1, table2, table3

__all__ = [
    "LinearBias",
    "Stacked",
    "age_density",
    "age_sd",
    "anova",
    "bootstrap_p",
    "calibrate",
    "compare_models",
    "conformal_half_width",
    "detectable_gain",
    "detectable_sentence",
    "error_quantiles",
    "evaluated",
    "exposed_cells",
    "f_from_errors",
    "fit_bias",
    "fold_corrected_gaps",
    "fold_intervals",
    "hidden_groups",
    "hide_by_group",
    "hide_cells",
    "hide_groups",
    "holm",
    "kl_to_whole",
    "ladder",
    "ladder_differences",
    "ladder_verdict",
    "ledger",
    "load_model_json",
    "mae",
    "mae_with_interval",
    "mse",
    "nested_f",
    "network_errors",
    "observe",
    "paired_differences",
    "paper_anova",
    "paper_claims",
    "paper_coefficients",
    "paper_ladder",
    "paper_numbers",
    "paper_table1",
    "paper_table2",
    "paper_table3",
    "percentile_interval",
    "power",
    "r2",
    "resampled_sums",
    "save_calibration_json",
    "save_model_json",
    "scans_needed",
    "stack",
    "stacked_age",
    "table1",
    "table2",
    "table3",
]
