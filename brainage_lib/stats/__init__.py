"""Numbers in tables: everything that is computed from a predictions table.

Nothing here knows images or networks; statsmodels and scipy are imported when a function
needs them.
"""

from brainage_lib.stats.analysis import FILES as ANALYSIS
from brainage_lib.stats.analysis import Analysis, analyse, read_predictions
from brainage_lib.stats.between_runs import between_runs
from brainage_lib.stats.bias import LinearBias, fit_bias, fold_corrected_gaps
from brainage_lib.stats.calibration import calibrate, save_calibration_json
from brainage_lib.stats.claims import ledger, observe, tell_statements
from brainage_lib.stats.conformal import conformal_half_width, fold_intervals
from brainage_lib.stats.coverage import corrected_gaps, coverage, scan_intervals
from brainage_lib.stats.disclosure import exposed_cells, hidden_groups, hide_cells, hide_groups
from brainage_lib.stats.divergence import kl_to_whole
from brainage_lib.stats.error_groups import age_density, error_quantiles, hide_by_group
from brainage_lib.stats.fairness import by_sex, guesses, left_out_studies, studies
from brainage_lib.stats.inflation import inflation
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
from brainage_lib.stats.patients import bias_over_age, patients
from brainage_lib.stats.power import (
    detectable_gain,
    detectable_sentence,
    power,
    scans_needed,
)
from brainage_lib.stats.reliability import pairs_of, repeated_scans
from brainage_lib.stats.simulated import false_alarms, ladder_null
from brainage_lib.stats.stability import summarise_stability
from brainage_lib.stats.stacking import Stacked, evaluated, stack
from brainage_lib.stats.summary import compare_models, table1, table2, table3

__all__ = [
    "ANALYSIS",
    "Analysis",
    "LinearBias",
    "Stacked",
    "age_density",
    "age_sd",
    "analyse",
    "anova",
    "between_runs",
    "bias_over_age",
    "bootstrap_p",
    "by_sex",
    "calibrate",
    "compare_models",
    "conformal_half_width",
    "corrected_gaps",
    "coverage",
    "detectable_gain",
    "detectable_sentence",
    "error_quantiles",
    "evaluated",
    "exposed_cells",
    "f_from_errors",
    "false_alarms",
    "fit_bias",
    "fold_corrected_gaps",
    "fold_intervals",
    "guesses",
    "hidden_groups",
    "hide_by_group",
    "hide_cells",
    "hide_groups",
    "holm",
    "inflation",
    "kl_to_whole",
    "ladder",
    "ladder_differences",
    "ladder_null",
    "ladder_verdict",
    "ledger",
    "left_out_studies",
    "load_model_json",
    "mae",
    "mae_with_interval",
    "mse",
    "nested_f",
    "network_errors",
    "observe",
    "paired_differences",
    "pairs_of",
    "paper_anova",
    "paper_claims",
    "paper_coefficients",
    "paper_ladder",
    "paper_numbers",
    "paper_table1",
    "paper_table2",
    "paper_table3",
    "patients",
    "percentile_interval",
    "power",
    "r2",
    "read_predictions",
    "repeated_scans",
    "resampled_sums",
    "save_calibration_json",
    "save_model_json",
    "scan_intervals",
    "scans_needed",
    "stack",
    "stacked_age",
    "studies",
    "summarise_stability",
    "table1",
    "table2",
    "table3",
    "tell_statements",
]
