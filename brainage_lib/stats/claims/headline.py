"""Findings 11–18: how certain the headline is."""

from __future__ import annotations

import math

from brainage_lib.stats.claims.arithmetic import (
    Z,
    absolute_difference_sd,
    error_correlation,
    mae_standard_error,
    p_of_z,
    stacked_correlation,
    weighted_correlation,
)
from brainage_lib.stats.claims.finding import Finding, Printed, percent, show_p

SECTION = "Uncertainty of the headline"
NORMAL = "assumes normal errors"


def findings(paper: Printed) -> list[Finding]:
    """Compute findings 11–18."""
    return [
        _intervals(paper),
        _gain_over_t(paper),
        _gain_over_a(paper),
        _t_over_a(paper),
        _feng_error(paper),
        _feng_data(paper),
        _correlation(paper),
        _second_look(paper),
    ]


def difference_sds(paper: Printed) -> dict[tuple[str, str], float]:
    """SD of the difference of absolute errors of two models, in years (normal errors)."""
    sd, mse = paper.sd, paper.mse
    of_both, _ = error_correlation(mse["T"], mse["A"], mse["TA"])
    correlations = {
        ("T", "TA"): stacked_correlation(mse["T"], mse["TA"]),
        ("A", "TA"): stacked_correlation(mse["A"], mse["TA"]),
        ("A", "T"): of_both,
    }
    return {
        pair: absolute_difference_sd(sd[pair[0]], sd[pair[1]], correlation)
        for pair, correlation in correlations.items()
    }


def _intervals(paper: Printed) -> Finding:
    errors = {m: mae_standard_error(paper.mse[m], paper.mae[m], paper.n_test) for m in paper.mae}
    told = ", ".join(
        f"{model} {paper.mae[model]:.2f} ± {Z * error:.2f}" for model, error in errors.items()
    )
    return Finding(
        11,
        SECTION,
        "The four MAEs are known to a hundredth of a year",
        "3.95, 3.96, 4.10, 4.49, without intervals",
        f"95 % intervals from the printed MSE and MAE: {told} years",
        "unsupported",
        "no interval is printed; these are exact in the printed numbers",
        numbers={f"se_{model}": error for model, error in errors.items()},
    )


def _paired(paper: Printed, first: str, second: str) -> dict[str, float]:
    gain = paper.mae[first] - paper.mae[second]
    sd = difference_sds(paper)[first, second]
    error = sd / math.sqrt(paper.n_test)
    return {
        "gain": gain,
        "sd": sd,
        "se": error,
        "low": gain - Z * error,
        "high": gain + Z * error,
        "z": gain / error,
        "p": p_of_z(gain / error),
    }


def _tell(found: dict[str, float]) -> str:
    return (
        f"{found['gain']:.2f} years, SE {found['se']:.3f}, 95 % interval {found['low']:.2f} to "
        f"{found['high']:.2f}, z {found['z']:.2f}, p {show_p(found['p'])}"
    )


def _gain_over_t(paper: Printed) -> Finding:
    found = _paired(paper, "T", "TA")
    correlation = stacked_correlation(paper.mse["T"], paper.mse["TA"])
    share = found["gain"] / paper.mae["T"]
    share_squared = 1 - paper.mse["TA"] / paper.mse["T"]
    return Finding(
        12,
        SECTION,
        "TA is better than T in MAE",
        "3.96 against 4.10",
        f"{_tell(found)} ({percent(share, 1)} of the MAE, {percent(share_squared, 1)} of the MSE; "
        f"errors correlate {correlation:.3f})",
        "holds" if found["low"] > 0 else "unsupported",
        f"not significant on {paper.n_test} scans ({NORMAL}); the gain in squared error is",
        numbers={**found, "correlation": correlation, "share": share, "mse_share": share_squared},
    )


def _gain_over_a(paper: Printed) -> Finding:
    found = _paired(paper, "A", "TA")
    return Finding(
        13,
        SECTION,
        "TA is better than A in MAE",
        "3.96 against 4.49",
        _tell(found),
        "holds" if found["low"] > 0 else "unsupported",
        f"beyond sampling error ({NORMAL})",
        numbers=found,
    )


def _t_over_a(paper: Printed) -> Finding:
    found = _paired(paper, "A", "T")
    return Finding(
        14,
        SECTION,
        "T is better than A in MAE",
        "4.10 against 4.49",
        _tell(found),
        "holds" if found["low"] > 0 else "unsupported",
        f"open: the interval includes none ({NORMAL})",
        numbers=found,
    )


def _feng_error(paper: Printed) -> Finding:
    gap = paper.number["feng_mae"] - paper.mae["TAS"]
    error = mae_standard_error(paper.mse["TAS"], paper.mae["TAS"], paper.n_test)
    z, z_both = gap / error, gap / (error * math.sqrt(2))
    return Finding(
        15,
        SECTION,
        "Better than Feng et al. 2020",
        "MAE 3.95 against 4.06",
        f"{gap:.2f} years: z {z:.2f}, p {show_p(p_of_z(z))}; z {z_both:.2f}, "
        f"p {show_p(p_of_z(z_both))} if Feng's test set had the same size and spread; T "
        f"({paper.mae['T']:.2f}) is nominally worse",
        "holds" if z_both > Z else "unsupported",
        "within noise",
        numbers={"z": z, "p": p_of_z(z), "z_both": z_both, "p_both": p_of_z(z_both)},
    )


def _feng_data(paper: Printed) -> Finding:
    feng = int(paper.number["feng_n"])
    return Finding(
        16,
        SECTION,
        "Trained on the same data as Feng et al.",
        '"the same large and heterogeneous dataset"',
        f"Feng: {feng:,} healthy scans, 18–97 years; here {paper.n_scans:,} scans in groups "
        f"from {paper.number['age_low']:.0f} to {paper.number['age_high']:.0f}, "
        f"{percent(paper.n_scans / feng)} of that number",
        "contradicted" if paper.n_scans != feng else "holds",
        "a subset at most; MAEs on different mixes of ages cannot be ranked",
        numbers={"share": paper.n_scans / feng},
    )


def _correlation(paper: Printed) -> Finding:
    t, a, both = (paper.mse[model] for model in ("T", "A", "TA"))
    highest, weight = error_correlation(t, a, both)
    even = weighted_correlation(t, a, both, 0.5)
    uneven = weighted_correlation(t, a, both, 0.8)
    return Finding(
        17,
        SECTION,
        "The two networks err differently",
        "TA better than T and than A",
        f"error correlation ≤ {highest:.3f} under the best linear stack (weight of T "
        f"{weight:.2f}); {even:.3f} with equal weights, {uneven:.2f} with 0.8 and 0.2",
        "holds" if highest < 1 else "contradicted",
        "assumes errors with mean zero; it does not say why they differ",
        numbers={"highest": highest, "weight": weight, "even": even, "uneven": uneven},
    )


def _second_look(paper: Printed) -> Finding:
    # The mean of two equal networks has MSE·(1 + ρ)/2, and MAE falls with its root.
    enough = 2 * paper.mse["TA"] / paper.mse["T"] - 1
    mae_at = {rho: paper.mae["T"] * math.sqrt((1 + rho) / 2) for rho in (0.8, 0.7)}
    return Finding(
        18,
        SECTION,
        "AICBV is an additional covariate that a network trained on T1w could not replicate",
        "TA better than T",
        f"two equal T networks whose errors correlate ≤ {enough:.3f} would have the same MSE "
        f"when averaged (0.8: MAE {mae_at[0.8]:.2f}; 0.7: {mae_at[0.7]:.2f})",
        "unsupported",
        "AICBV is a function of the same T1w image, and no control with a second T network "
        "was run; chapter 09 compares with it where a run has a second seed",
        numbers={"enough": enough, "mae_08": mae_at[0.8], "mae_07": mae_at[0.7]},
    )
