"""Findings 1–10: the statistics of Table 1."""

from __future__ import annotations

import math

from brainage_lib.stats.claims.arithmetic import (
    Z,
    f_needed,
    implied_variance,
    p_of_t,
    residual_sd_bound,
    rounding_range,
    rows_for_p,
    t_of_p,
)
from brainage_lib.stats.claims.finding import Finding, Printed, percent, show_p
from brainage_lib.stats.nested import f_from_errors
from brainage_lib.stats.paper import ROUNDING

SECTION = "Table 1"
# Terms of TA and TAS with the intercept.
TA_TERMS, TAS_TERMS = 3, 4
# Printed p = 0.02 and coefficients are rounded to their last digit.
_P_HALF = 0.005


def findings(paper: Printed) -> list[Finding]:
    """Compute findings 1–10."""
    return [
        _t_against_ta(paper),
        _a_against_ta(paper),
        _ta_against_tas(paper),
        *_sex_coefficient(paper),
        _age_variance(paper),
        _squared_correlation(paper),
    ]


def _t_against_ta(paper: Printed) -> Finding:
    mse, n = paper.mse, paper.n_test
    half = ROUNDING["mse"]
    f, p = f_from_errors(mse["T"], mse["TA"], n, TA_TERMS)
    low, high = rounding_range(
        lambda a, b: f_from_errors(a, b, n, TA_TERMS)[1], (mse["T"], mse["TA"]), (half, half)
    )
    limit = paper.p["T", "TA"]
    needed = f_needed(limit, n - TA_TERMS)
    fit_df = paper.n_fit - TA_TERMS
    ratio = 1 + f_needed(limit, fit_df) / fit_df
    f_fit, p_fit = f_from_errors(mse["T"], mse["TA"], paper.n_fit, TA_TERMS)
    return Finding(
        1,
        SECTION,
        "AICBV adds to T1w: nested F test of T against TA",
        "p < 2.2e-16",
        f"F {f:.2f}, p {show_p(p)} ({show_p(low)} to {show_p(high)} within rounding) on {n} "
        f"test rows, where p < 2.2e-16 needs F ≥ {needed:.1f}; on {paper.n_fit:,} fitted rows "
        f"an RSS ratio of {ratio:.3f} is enough, and the same ratio gives F {f_fit:.1f}, "
        f"p {show_p(p_fit)}",
        "not reproducible" if f < needed else "holds",
        "possible only on the rows that fitted the stacking: the ANOVA was done in-sample",
        numbers={
            "f": f, "p": p, "p_low": low, "p_high": high, "f_needed": needed,
            "ratio_needed": ratio, "f_fit": f_fit, "p_fit": p_fit,
        },
    )  # fmt: skip


def _a_against_ta(paper: Printed) -> Finding:
    f, p = f_from_errors(paper.mse["A"], paper.mse["TA"], paper.n_test, TA_TERMS)
    return Finding(
        2,
        SECTION,
        "T1w adds to AICBV: nested F test of A against TA",
        "p < 2.2e-16",
        f"F {f:.2f}, p {show_p(p)} on {paper.n_test} test rows",
        "holds" if p < paper.p["A", "TA"] else "not reproducible",
        "agrees on either set of rows",
        numbers={"f": f, "p": p},
    )


def _ta_against_tas(paper: Printed) -> Finding:
    small, large, n = paper.mse["TA"], paper.mse["TAS"], paper.n_test
    half = ROUNDING["mse"]
    f, p = f_from_errors(small, large, n, TAS_TERMS)
    # Rounding of both would allow a gain between 0.08 and 0.10.
    low, high = rounding_range(
        lambda a, b: f_from_errors(a, b, n, TAS_TERMS)[1], (small, large), (half, half)
    )
    rows = rows_for_p(small, large, paper.sex_p, TAS_TERMS)
    fewest, most = rounding_range(
        lambda a, b: rows_for_p(a, b, paper.sex_p, TAS_TERMS), (small, large), (half, half)
    )
    f_fit, p_fit = f_from_errors(small, large, paper.n_fit, TAS_TERMS)
    degrees = paper.n_fit - TAS_TERMS
    drop_fit = t_of_p(paper.sex_p, degrees) ** 2 / degrees
    drop_test = small / large - 1
    return Finding(
        3,
        SECTION,
        "Sex adds to both networks: nested F test of TA against TAS",
        "p 0.02",
        f"F {f:.2f}, p {show_p(p)} ({low:.2f} to {high:.2f} within rounding) on {n} test rows; "
        f"the printed ratio gives p 0.02 on {rows:,.0f} ({fewest:,.0f}–{most:,.0f}) rows, and "
        f"F {f_fit:.2f}, p {show_p(p_fit)} on {paper.n_fit:,}; p 0.02 there means a drop in "
        f"RSS of {percent(drop_fit, 2)}, beside {percent(drop_test, 2)} on the test rows",
        "holds" if low <= paper.sex_p <= high else "not reproducible",
        "the test was done on other rows than the printed errors",
        numbers={
            "f": f, "p": p, "p_low": low, "p_high": high, "rows": rows, "rows_low": fewest,
            "rows_high": most, "f_fit": f_fit, "p_fit": p_fit, "drop_fit": drop_fit,
            "drop_test": drop_test,
        },
    )  # fmt: skip


def _sex_coefficient(paper: Printed) -> list[Finding]:
    size, n_fit, n_test = abs(paper.sex), paper.n_fit, paper.n_test
    degrees = n_fit - TAS_TERMS
    t = t_of_p(paper.sex_p, degrees)
    t_low, t_high = (t_of_p(paper.sex_p + s * _P_HALF, degrees) for s in (1, -1))
    error, error_low, error_high = size / t, size / t_high, size / t_low
    low, high = paper.sex - Z * error, paper.sex + Z * error
    as_printed = Finding(
        4,
        SECTION,
        "Men's ages are predicted lower at equal network output: coefficient of sex in TAS",
        "−0.168 years, p 0.02",
        f"t {t:.2f} ({t_low:.2f}–{t_high:.2f}), SE {error:.3f} ({error_low:.3f}–"
        f"{error_high:.3f}), 95 % interval {low:.2f} to {high:.2f} years",
        "holds",
        "as printed, in-sample; what it rests on is in the next three findings",
        numbers={
            "t": t, "t_low": t_low, "t_high": t_high, "se": error, "se_low": error_low,
            "se_high": error_high, "low": low, "high": high,
        },
    )  # fmt: skip
    bound, bound_low, bound_high = (
        residual_sd_bound(se, n_fit) for se in (error, error_low, error_high)
    )
    train_only = residual_sd_bound(error, paper.n_train)
    test_only = residual_sd_bound(error, n_test)
    rmse = paper.sd["TAS"]
    times, times_low, times_high = ((rmse / s) ** 2 for s in (bound, bound_high, bound_low))
    residuals = Finding(
        5,
        SECTION,
        "The stacking was fitted on errors like those of new scans",
        "fitted on training and validation predictions",
        f"residual SD ≤ {bound:.2f} years ({bound_low:.2f}–{bound_high:.2f}) on {n_fit:,} rows "
        f"({train_only:.2f} if {paper.n_train:,}, {test_only:.2f} if {n_test}); test RMSE "
        f"{rmse:.2f}, a variance {times:.1f} times ({times_low:.1f}–{times_high:.1f}) as large",
        "contradicted" if bound_high < rmse else "holds",
        "the stacking was fitted on predictions that the networks had memorised",
        numbers={
            "sd": bound, "sd_low": bound_low, "sd_high": bound_high, "sd_train": train_only,
            "sd_test": test_only, "times": times, "times_low": times_low,
            "times_high": times_high,
        },
    )  # fmt: skip
    return [as_printed, residuals, _training_error(paper, bound, bound_low, bound_high),
            _honest_sex(paper, t), _male_older(paper)]  # fmt: skip


def _training_error(paper: Printed, bound: float, low: float, high: float) -> Finding:
    def train_mse(sd: float) -> float:
        # The validation error is taken to be the test error.
        rest = paper.n_validation * paper.mse["TAS"]
        return (paper.n_fit * sd**2 - rest) / paper.n_train

    value = train_mse(bound)
    rmse, rmse_low, rmse_high = (math.sqrt(train_mse(sd)) for sd in (bound, low, high))
    return Finding(
        6,
        SECTION,
        "Stacking weights and p values speak of new scans",
        "no training error is printed",
        f"training MSE {value:.2f}, RMSE {rmse:.2f} years ({rmse_low:.2f}–{rmse_high:.2f}), if "
        "the validation error equals the test error",
        "unsupported",
        "the networks nearly interpolate their training scans, which are nine tenths of the "
        "rows of the fit",
        numbers={"mse": value, "rmse": rmse, "rmse_low": rmse_low, "rmse_high": rmse_high},
    )


def _honest_sex(paper: Printed, t_needed: float) -> Finding:
    size, rmse = abs(paper.sex), paper.sd["TAS"]
    found = {}
    for name, n in (("fit", paper.n_fit), ("test", paper.n_test)):
        error = 2 * rmse / math.sqrt(n)
        degrees = n - TAS_TERMS
        found[f"t_{name}"] = size / error
        found[f"p_{name}"] = p_of_t(size / error, degrees)
        found[f"needed_{name}"] = error * t_of_p(paper.sex_p, degrees)
    return Finding(
        7,
        SECTION,
        "Sex further enhances performance",
        "p 0.02",
        f"with the test RMSE as residual SD: t {found['t_fit']:.2f}, p {found['p_fit']:.2f} on "
        f"{paper.n_fit:,} rows; t {found['t_test']:.2f}, p {found['p_test']:.2f} on "
        f"{paper.n_test}; p 0.02 would need a coefficient of {found['needed_fit']:.2f} or "
        f"{found['needed_test']:.2f} years",
        "contradicted" if found["t_fit"] < t_needed else "holds",
        "by the paper's own test error",
        numbers=found,
    )


def _male_older(paper: Printed) -> Finding:
    # Shifting half the people by +b/2 and half by −b/2 lowers the MSE by b·gap/2 − b²/4,
    # where gap is the difference of the mean residuals of the sexes.
    size = abs(paper.sex)
    drop = paper.mse["TA"] - paper.mse["TAS"]
    gap = (drop + size**2 / 4) / (size / 2)
    error = 2 * paper.sd["TA"] / math.sqrt(paper.n_test)
    gain = paper.mae["TA"] - paper.mae["TAS"]
    return Finding(
        8,
        SECTION,
        "Male brains look older",
        "negative coefficient",
        f"{12 * size:.0f} months; MAE gain {gain:.2f} years; the printed drop in test MSE of "
        f"{drop:.2f} needs a gap between the sexes of {gap:.2f} ± {error:.2f} years on the test "
        f"rows, {gap / size:.0f} times the coefficient",
        "unsupported",
        "the direction follows from the sign, but no check by age is shown, and coefficient "
        "and test gain do not fit together",
        numbers={"gap": gap, "gap_se": error, "times": gap / size, "gain": gain},
    )


def _age_variance(paper: Printed) -> Finding:
    halves = (ROUNDING["mse"], ROUNDING["r2"])
    values, ranges = {}, []
    for model in paper.mse:
        pair = (paper.mse[model], paper.r2[model])
        values[model] = implied_variance(*pair)
        ranges.append(rounding_range(implied_variance, pair, halves))
    low, high = max(r[0] for r in ranges), min(r[1] for r in ranges)
    told = ", ".join(f"{model} {value:.1f}" for model, value in values.items())
    return Finding(
        9,
        SECTION,
        "MSE and R² belong to the same test ages",
        "MSE and R² of four models",
        f"age variance {told}; all four agree within rounding on {low:.1f}–{high:.1f}, "
        f"SD {math.sqrt(low):.2f}–{math.sqrt(high):.2f} years",
        "holds" if low <= high else "contradicted",
        "consistent; a near-uniform spread of ages",
        numbers={**values, "low": low, "high": high},
    )


def _squared_correlation(paper: Printed) -> Finding:
    r = paper.number["feng_r"]
    squared = r**2
    difference = math.atanh(math.sqrt(paper.r2["TAS"])) - math.atanh(r)
    # Of this paper's correlation alone; Feng's adds to it.
    error = 1 / math.sqrt(paper.n_test - 3)
    return Finding(
        10,
        SECTION,
        "R² is higher than Feng's",
        "0.943 against 0.941",
        f"Feng report r = {r:.3f}, and {r:.3f}² = {squared:.4f}: a squared correlation, not "
        f"1 − MSE/variance; as Fisher's z the difference is {difference:.3f} ± {error:.3f} "
        f"(z {difference / error:.2f})",
        "unsupported",
        "not the same measure, and the difference is noise",
        numbers={"squared": squared, "difference": difference, "se": error},
    )
