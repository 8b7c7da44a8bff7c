"""Findings 19–24 and 42: Table 2, MAE by age group."""

from __future__ import annotations

import math

import numpy as np

from brainage_lib.stats.claims.arithmetic import Z, scans_needed, sign_test, wilcoxon_p
from brainage_lib.stats.claims.finding import Finding, Printed
from brainage_lib.stats.claims.group_sizes import GroupSizes
from brainage_lib.stats.claims.groups import BOTH, below, best, chosen, joined, starts
from brainage_lib.stats.claims.headline import difference_sds
from brainage_lib.stats.claims.table_one import findings as of_table_one
from brainage_lib.tables import MODELS

SECTION = "Table 2"
YOUNG = (15, 30)
OLD = (85, 95)
# From here on we call a population older; the paper names no age.
OLDER = 60


def findings(paper: Printed) -> list[Finding]:
    """Compute findings 19–24."""
    return [
        _most_groups(paper),
        _young(paper),
        _old(paper),
        _differences(paper),
        _sex(paper),
        _sizes(paper),
    ]


def _most_groups(paper: Printed) -> Finding:
    mae, groups = paper.by_age, len(paper.ages)
    over_t, over_a = below(mae, "TA", "T"), below(mae, "TA", "A")
    both = below(mae, "TA", "T", "A")
    names = best(mae)
    count = {name: int((names == name).sum()) for name in ("T", "A", BOTH)}
    p_sign = sign_test(int(over_t.sum()), groups)
    p_rank = wilcoxon_p(mae["T"] - mae["TA"])
    return Finding(
        19,
        SECTION,
        "T and A have higher errors than TA and TAS across most age groups",
        "Table 2",
        f"TA below T in {over_t.sum()} of {groups} ({joined(chosen(paper.ages, over_t))}), below "
        f"A in {over_a.sum()}, below both in {both.sum()} ({joined(chosen(paper.ages, both))}); "
        f"the best is T in {count['T']}, A in {count['A']}, TA or TAS in {count[BOTH]}; sign "
        f"test against T p {p_sign:.2f}, Wilcoxon p {p_rank:.2f}",
        # "Most" of both is more than half of the groups below both single models.
        "holds" if both.sum() > groups / 2 else "contradicted",
        "against T, which alone is the most frequent best; it holds against A",
        numbers={
            "over_t": int(over_t.sum()), "over_a": int(over_a.sum()), "both": int(both.sum()),
            "t_best": count["T"], "a_best": count["A"], "ta_best": count[BOTH],
            "p_sign": p_sign, "p_rank": p_rank,
        },
    )  # fmt: skip


def _young(paper: Printed) -> Finding:
    lower = np.array(starts(paper.ages))
    is_best = best(paper.by_age) == "T"
    inside = (lower >= YOUNG[0]) & (lower < YOUNG[1])
    also = joined(chosen(paper.ages, is_best & ~inside))
    told = ", ".join(f"{paper.by_age['T'][place]:.2f}" for place in np.flatnonzero(inside))
    return Finding(
        20,
        SECTION,
        "T is best between 15 and 30",
        told,
        f"T is best in {(is_best & inside).sum()} of {inside.sum()} groups there; also in {also}",
        "holds" if is_best[inside].all() else "contradicted",
        "so it is not about youth: the other ages where T is best are not mentioned",
        numbers={"inside": int((is_best & inside).sum()), "best": int(is_best.sum())},
    )


def _old(paper: Printed) -> Finding:
    lower = np.array(starts(paper.ages))
    mae = paper.by_age
    is_best = best(mae) == "A"
    inside = (lower >= OLD[0]) & (lower < OLD[1])
    sds = difference_sds(paper)
    first, last = np.flatnonzero(inside)
    gap = mae["TA"][first] - mae["A"][first]
    needed = scans_needed(gap, sds["A", "TA"])
    against_t = scans_needed(mae["T"][last] - mae["A"][last], sds["A", "T"])
    against_ta = scans_needed(mae["TA"][last] - mae["A"][last], sds["A", "TA"])
    also = joined(chosen(paper.ages, is_best & ~inside))
    return Finding(
        21,
        SECTION,
        "A is consistently best between 85 and 95",
        f"{mae['A'][first]:.2f} and {mae['A'][last]:.2f}",
        f"A is best in {(is_best & inside).sum()} of {inside.sum()} groups there, in the first by "
        f"{gap:.2f} years (1.96 standard errors would take about {needed:,.0f} scans in that "
        f"group); in the second {math.ceil(against_t)} scans are enough against T, "
        f"{math.ceil(against_ta)} against TA; also in {also}",
        "holds" if is_best[inside].all() else "contradicted",
        "as printed; as a trend it rests on two groups, one of them within noise",
        numbers={
            "gap": gap, "needed": needed, "against_t": against_t, "against_ta": against_ta,
        },
    )  # fmt: skip


def _differences(paper: Printed) -> Finding:
    from scipy.stats import norm

    mae, groups = paper.by_age, len(paper.ages)
    size = paper.n_test // groups
    error = difference_sds(paper)["A", "T"] / math.sqrt(size)
    apart = np.abs(mae["T"] - mae["A"])
    corrected = float(norm.isf(0.025 / groups))
    single, strict = apart > Z * error, apart > corrected * error
    return Finding(
        22,
        SECTION,
        "T and A are good at different ages",
        "Table 2, no group sizes",
        f"with {size} scans a group (SE {error:.2f} years) T and A differ beyond 1.96 SE in "
        f"{single.sum()} of {groups} groups ({joined(chosen(paper.ages, single))}), beyond "
        f"Bonferroni's limit in {strict.sum()} ({joined(chosen(paper.ages, strict))})",
        "unsupported",
        "nearly all differences are within noise, and the oldest group is surely smaller than "
        "the mean one",
        numbers={
            "size": size, "se": error, "single": int(single.sum()), "strict": int(strict.sum()),
        },
    )  # fmt: skip


def _sex(paper: Printed) -> Finding:
    mae = paper.by_age
    means = {model: float(mae[model].mean()) for model in MODELS}
    # Two decimals: equal printed numbers are equal.
    change = np.round(mae["TA"] - mae["TAS"], 6)
    better, equal, worse = (int(v.sum()) for v in (change > 0, change == 0, change < 0))
    p = sign_test(better, better + worse)
    told = ", ".join(f"{model} {value:.2f}" for model, value in means.items())
    return Finding(
        23,
        SECTION,
        "Sex lowers the error across ages",
        "Table 2",
        f"TAS below TA in {better} groups, equal in {equal}, above in {worse} (sign test p "
        f"{p:.2f}); unweighted means of the groups: {told}",
        "holds" if p < 0.05 else "unsupported",
        "a hundredth of a year, in either direction",
        numbers={"better": better, "equal": equal, "worse": worse, "p": p, **means},
    )


def _sizes(paper: Printed) -> Finding:
    variance = next(f for f in of_table_one(paper) if f.id == 9).numbers
    sizes = GroupSizes(
        np.column_stack([paper.by_age[model] for model in MODELS]),
        np.array([paper.mae[model] for model in MODELS]),
        paper.n_test,
    )
    feasible = sizes.feasible()
    largest, smallest, even = sizes.largest(), sizes.smallest(), sizes.most_even()
    middle = np.array(starts(paper.ages)) + 2.5
    low, high = sizes.mean_ages(middle, (variance["low"], variance["high"]))
    tight, loose = int(np.argmin(largest)), int(np.argmax(largest))
    return Finding(
        24,
        SECTION,
        "Tables 1 and 2 agree",
        "no group sizes",
        f"group sizes exist that give all four overall MAEs within rounding; each group can be "
        f"{smallest.max():.0f}, at most {largest[tight]:.0f} ({paper.ages[tight]}) to "
        f"{largest[loose]:.0f} ({paper.ages[loose]}); the smallest group has at most {even:.1f} "
        f"scans; with the age variance of finding 9 the mean age lies between {low:.0f} and "
        f"{high:.0f}",
        "holds" if feasible else "contradicted",
        "a linear programme; the sizes are not pinned down, near-equal ones are possible",
        numbers={
            "smallest": float(smallest.max()), "upper_low": float(largest[tight]),
            "upper_high": float(largest[loose]), "even": even, "mean_low": low, "mean_high": high,
        },
    )  # fmt: skip


def older_populations(paper: Printed) -> tuple[str, dict[str, float]]:
    """Count for finding 42 where TA beats T from 60 years on, and below."""
    lower = np.array(starts(paper.ages))
    over_t = below(paper.by_age, "TA", "T")
    old = lower >= OLDER
    numbers = {
        "old": int((over_t & old).sum()),
        "old_groups": int(old.sum()),
        "young": int((over_t & ~old).sum()),
        "young_groups": int((~old).sum()),
    }
    return (
        f"from {OLDER} on TA is below T in {numbers['old']} of {numbers['old_groups']} groups, "
        f"below {OLDER} in {numbers['young']} of {numbers['young_groups']}",
        numbers,
    )
