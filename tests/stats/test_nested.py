"""Nested F tests against hand formulas, and how often they are wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.stats import binom

from brainage_lib.stats import anova, f_from_errors, nested_f, stack
from brainage_lib.tables import ANOVA


def rows(n, rng, weight=0.0):
    """Ages, T, and A that says nothing beyond T unless it is given a weight."""
    t = rng.uniform(20, 80, n)
    a = t + rng.normal(0, 4, n)
    return pd.DataFrame(
        {
            "age": t + weight * (a - t) + rng.normal(0, 5, n),
            "T": t,
            "A": a,
            "sex": np.where(rng.random(n) < 0.5, "F", "M"),
        }
    )


def residual_sum(table, columns):
    design = np.column_stack([np.ones(len(table)), *columns])
    coefficients, *_ = np.linalg.lstsq(design, table["age"].to_numpy(), rcond=None)
    return float(((table["age"] - design @ coefficients) ** 2).sum())


@pytest.mark.parametrize(
    ("smaller", "larger", "df"), [("T", "TA", 57), ("A", "TA", 57), ("TA", "TAS", 56)]
)
def test_f_is_the_ratio_of_residual_sums(smaller, larger, df):
    table = rows(60, np.random.default_rng(5), weight=0.3)
    male = (table["sex"] == "M").to_numpy(dtype=float)
    columns = {
        "T": [table["T"]],
        "A": [table["A"]],
        "TA": [table["T"], table["A"]],
        "TAS": [table["T"], table["A"], male],
    }
    small, large = (residual_sum(table, columns[model]) for model in (smaller, larger))
    expected = (small - large) / (large / df)
    result = nested_f(table, smaller, larger)
    assert (result.n_scans, result.df_residual) == (60, df)
    assert result.f == pytest.approx(expected)
    assert result.p == pytest.approx(stats.f.sf(expected, 1, df))
    f, p = f_from_errors(small / 60, large / 60, 60, 60 - df)
    assert (f, p) == pytest.approx((result.f, result.p))


def test_f_of_one_term_is_its_squared_t(both_modes):
    """The p of TA within TAS is the p of the sex coefficient."""
    stacked = stack(both_modes)
    table = anova(stacked, replicates=10)
    fitted = table[(table["rows"] == "fitted") & (table["larger"] == "TAS")]
    sex = stacked.coefficients.query("term == 'sex' and fitted_on != 'validation'")
    assert fitted[fitted["mode"] == "paper"]["p"].item() == pytest.approx(
        sex[sex["mode"] == "paper"]["p"].item()
    )
    all_folds = sex[(sex["mode"] == "sound") & sex["fold"].isna()]
    assert fitted[fitted["mode"] == "sound"]["p"].item() == pytest.approx(all_folds["p"].item())


def test_false_alarms_of_the_nested_f_stay_at_their_level():
    trials = 500
    p = [nested_f(rows(40, np.random.default_rng([1, i])), "T", "TA").p for i in range(trials)]
    low, high = binom.ppf([0.001, 0.999], trials, 0.05)
    assert low <= np.sum(np.array(p) < 0.05) <= high
    assert stats.kstest(p, "uniform").pvalue > 0.001


def test_in_sample_rows_make_nonsense_significant():
    """Memorised training predictions carry any difference between networks into the p value.

    A is T with noise of its own on new scans; on training rows both are nearly the age, so
    that a mean of them "explains" what neither could on new scans.
    """
    rng = np.random.default_rng(0)
    age = rng.uniform(20, 80, 2000)
    table = pd.DataFrame(
        {"age": age, "T": age + rng.normal(0, 0.7, 2000), "A": age + rng.normal(0, 0.7, 2000)}
    ).assign(sex="F")
    assert nested_f(table, "T", "TA").p < 2.2e-16


def test_anova_fills_its_schema_in_both_modes(both_modes):
    table = anova(stack(both_modes), replicates=200)
    ANOVA.validate(table)
    assert len(table) == 2 * 2 * 3
    paper = table[table["mode"] == "paper"].set_index(["rows", "smaller", "larger"])
    assert paper.loc[("fitted", "T", "TA"), "n_scans"] == 900
    assert paper.loc[("fitted", "TA", "TAS"), "df_residual"] == 896
    assert paper.loc[("test", "T", "TA"), "n_scans"] == 100
    assert paper.loc[("test", "T", "TA"), "df_residual"] == 97


def test_f_on_test_rows_is_that_of_the_stacked_predictions(both_modes):
    stacked = stack(both_modes)
    table = anova(stacked, replicates=200)
    test = stacked.rows.query("mode == 'sound' and role == 'test'")
    squared = ((test["stacked_age"] - test["age"]) ** 2).groupby(test["model"]).mean()
    expected, _ = f_from_errors(squared["T"], squared["TA"], 600, 3)
    found = table.query("mode == 'sound' and rows == 'test' and smaller == 'T'")["f"].item()
    assert found == pytest.approx(expected)


def test_a_gain_on_test_rows_is_seen_and_no_gain_is_not(make_sound):
    helps = anova(stack(make_sound(n=300, correlation=0.5)), 500).query("rows == 'test'")
    assert helps.query("smaller == 'T'")["p"].item() < 0.01
    repeats = anova(stack(make_sound(n=300, correlation=0.9999)), 500).query("rows == 'test'")
    assert repeats.query("smaller == 'T'")["p"].item() > 0.05


def test_one_sex_leaves_the_sex_test_empty(make_sound):
    predictions = make_sound(n=60, patients=0).assign(sex="F")
    table = anova(stack(predictions), 50).query("larger == 'TAS'")
    assert table[["f", "p"]].isna().all(axis=None)
    ANOVA.validate(table)


# Motor Trend 1974, as R's data set mtcars has it: mpg, wt, hp, am.
CARS = """
21.0 2.620 110 1|21.0 2.875 110 1|22.8 2.320 93 1|21.4 3.215 110 0|18.7 3.440 175 0
18.1 3.460 105 0|14.3 3.570 245 0|24.4 3.190 62 0|22.8 3.150 95 0|19.2 3.440 123 0
17.8 3.440 123 0|16.4 4.070 180 0|17.3 3.730 180 0|15.2 3.780 180 0|10.4 5.250 205 0
10.4 5.424 215 0|14.7 5.345 230 0|32.4 2.200 66 1|30.4 1.615 52 1|33.9 1.835 65 1
21.5 2.465 97 0|15.5 3.520 150 0|15.2 3.435 150 0|13.3 3.840 245 0|19.2 3.845 175 0
27.3 1.935 66 1|26.0 2.140 91 1|30.4 1.513 113 1|15.8 3.170 264 1|19.7 2.770 175 1
15.0 3.570 335 1|21.4 2.780 109 1
"""


@pytest.mark.parametrize(
    ("smaller", "larger", "f", "p"),
    [
        # R: anova(lm(mpg ~ wt), lm(mpg ~ wt + hp)) and so on, as it prints them.
        ("T", "TA", 12.381, 0.001451),
        ("A", "TA", 37.56, 1.12e-06),
        ("TA", "TAS", 2.292, 0.141268),
    ],
)
def test_nested_f_is_what_r_prints(smaller, larger, f, p):
    cells = [line.split() for line in CARS.replace("|", "\n").split("\n") if line]
    table = pd.DataFrame(cells, columns=["age", "T", "A", "sex"]).astype(
        {"age": float, "T": float, "A": float}
    )
    result = nested_f(table.assign(sex=table["sex"].map({"0": "F", "1": "M"})), smaller, larger)
    assert result.n_scans == 32
    assert result.f == pytest.approx(f, rel=1e-3)
    assert result.p == pytest.approx(p, rel=5e-3)
