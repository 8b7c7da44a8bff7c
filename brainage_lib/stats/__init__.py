"""Numbers in tables: everything that is computed from a predictions table.

Nothing here knows images or networks; statsmodels and scipy are imported when a function
needs them.
"""

from brainage_lib.stats.divergence import kl_to_whole
from brainage_lib.stats.metrics import (
    age_sd,
    bootstrap_p,
    holm,
    mae,
    mse,
    paired_differences,
    percentile_interval,
    r2,
    resampled_sums,
)
from brainage_lib.stats.model_file import load_model_json, save_model_json, stacked_age
from brainage_lib.stats.nested import anova, f_from_errors, nested_f
from brainage_lib.stats.stacking import Stacked, evaluated, stack
from brainage_lib.stats.summary import compare_models, table1, table2, table3

__all__ = [
    "Stacked",
    "age_sd",
    "anova",
    "bootstrap_p",
    "compare_models",
    "evaluated",
    "f_from_errors",
    "holm",
    "kl_to_whole",
    "load_model_json",
    "mae",
    "mse",
    "nested_f",
    "paired_differences",
    "percentile_interval",
    "r2",
    "resampled_sums",
    "save_model_json",
    "stack",
    "stacked_age",
    "table1",
    "table2",
    "table3",
]
