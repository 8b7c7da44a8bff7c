"""A small cohort with everything that a page shows of it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from brainage_lib.tables import AGE_GROUPS, MODELS, age_group

SOURCE = "simulated scans"
WHICH = {"recipe": "paper", "mode": "sound", "fitted_on": "out-of-fold"}


def make_cohort(n: int, projects: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    """Tables of a run of ``n`` scans, with the schemas' columns; ``n`` may be 0."""
    rng = np.random.default_rng([11, n])
    manifest = pd.DataFrame(
        {
            "scan_id": [f"s{i}" for i in range(n)],
            "participant_id": [f"p{i * 4 // 5}" for i in range(n)],
            "project": [projects[i % len(projects)] for i in range(n)],
            "session": "1",
            "age": rng.uniform(18, 92, n),
            "sex": ["FM"[i % 2] for i in range(n)],
            "diagnosis": ["control" if i % 5 else "AD" for i in range(n)],
            "path": "sim:",
            "t1w_state": "simulated",
        }
    )
    described = manifest.drop(columns=["path", "t1w_state"])
    roles = np.array(["train", "train", "validation", "test"])[np.arange(n) % 4]
    predictions = pd.concat(
        [
            described.assign(
                recipe="paper", mode="sound", role="test", fold=0, net=net, seed=0,
                predicted_age=manifest["age"] + rng.normal(0, 5, n),
            )
            for net in "TA"
        ],
        ignore_index=True,
    )  # fmt: skip
    rows = pd.concat(
        [
            described.assign(
                **WHICH, fold=0, model=model, role="test",
                stacked_age=manifest["age"] + rng.normal(0, 4, n),
            )
            for model in MODELS
        ],
        ignore_index=True,
    )  # fmt: skip
    scores = pd.DataFrame(
        {
            "mode": "paper", "fold": 0, "partition": range(10),
            "role": ["test", "validation"] + ["train"] * 8,
            "n_scans": n // 10, "n_participants": n // 10, "age_mean": 50.0, "age_sd": 20.0,
            "kl": np.linspace(0.02, 0.09, 10), "shared_participants": 1,
        }
    )  # fmt: skip
    quality = pd.DataFrame(
        {
            "scan_id": manifest["scan_id"], "project": manifest["project"],
            "verdict": ["drop" if i == 1 else "keep" for i in range(n)],
            "reasons": ["cut off; low contrast" if i == 1 else "" for i in range(n)],
        }
    )  # fmt: skip
    return {
        "manifest": manifest,
        "splits": manifest[["scan_id"]].assign(mode="paper", fold=0, role=roles),
        "scores": scores.iloc[: 10 if n else 0],
        "quality": quality,
        "predictions": predictions,
        "rows": rows,
        "table1": _table1(rows),
        "table2": _by_group(rows.assign(age_group=age_group(rows["age"])), "age_group", AGE_GROUPS),
        "table3": _by_group(rows, "project", projects),
    }


def _table1(rows: pd.DataFrame) -> pd.DataFrame:
    found = []
    for model in MODELS:
        part = rows[rows["model"] == model]
        gap = part["stacked_age"] - part["age"]
        row = {**WHICH, "model": model, "n_scans": len(part), "mae_over_sd": 0.2}
        for name, value in (("mae", gap.abs().mean()), ("mse", (gap**2).mean()), ("r2", 0.9)):
            row |= {name: value, f"{name}_low": value - 0.1, f"{name}_high": value + 0.1}
        found.append(row)
    return pd.DataFrame(found)


def _by_group(rows: pd.DataFrame, group: str, names: tuple[str, ...]) -> pd.DataFrame:
    found = []
    for model in MODELS:
        for name in names:
            part = rows[(rows["model"] == model) & (rows[group] == name)]
            mae = (part["stacked_age"] - part["age"]).abs().mean()
            found.append(
                {
                    **WHICH, "model": model, group: name, "n_scans": len(part),
                    "n_participants": len(part), "mae": mae, "mae_low": mae - 1,
                    "mae_high": mae + 1, "small": len(part) < 10,
                }
            )  # fmt: skip
    return pd.DataFrame(found)


@pytest.fixture(scope="session")
def cohort() -> dict[str, pd.DataFrame]:
    return make_cohort(80, ("ADNI", "IXI", "Mine <&>"))


@pytest.fixture(scope="session")
def volume() -> tuple[np.ndarray, np.ndarray]:
    """An ellipsoid on a grid of 8 mm that goes right, anterior and superior."""
    shape = (24, 32, 24)
    affine = np.diag([8.0, 8.0, 8.0, 1.0])
    affine[:3, 3] = (-92.5, -141.5, -73.5)
    axes = np.meshgrid(*[np.linspace(-1, 1, side) for side in shape], indexing="ij")
    inside = sum(axis**2 for axis in axes) < 0.6
    return np.where(inside, 1.0 + axes[0] / 4, 0).astype(np.float32), affine


@pytest.fixture(scope="session")
def everything(cohort, volume) -> dict[str, object]:
    return make_everything(cohort, volume)


@pytest.fixture(scope="session")
def build():
    """Make what pages show of a cohort of some size."""

    def build(n: int, projects: tuple[str, ...], volume) -> dict[str, object]:
        return make_everything(make_cohort(n, projects), volume)

    return build


def make_everything(cohort: dict[str, pd.DataFrame], volume) -> dict[str, object]:
    """One of each chart, picture and table."""
    from brainage_lib import show

    brain, affine = volume
    paper = pd.DataFrame({"model": MODELS, "mae": [4.1, 4.49, 3.96, 3.95], "n_scans": 288})
    group = SimpleNamespace(n_scans=12, top=brain * (brain > 1.1), slices=(14, 16, 12))
    logs = pd.DataFrame(
        {
            "recipe": "paper", "mode": "sound", "net": ["T"] * 3 + ["A"] * 3, "seed": 0, "fold": 0,
            "epoch": [1, 2, 3] * 2, "train_mae": [9.0, 6, 3] * 2,
            "validation_mae": [9.0, 7, 8] * 2, "kept": [False, True, False] * 2,
        }
    )  # fmt: skip
    empty = cohort["manifest"].empty
    few = (lambda frame: frame.iloc[:0]) if empty else (lambda frame: frame)
    differences = pd.DataFrame(
        {"first": ["T", "A"], "second": ["TA", "TA"], "difference": [0.3, -0.2], "low": [-0.1, -1],
         "high": [0.7, 0.5], "n_scans": 36}
    )  # fmt: skip
    aicbv = pd.DataFrame(
        [
            {"scan_id": f"s{i}", "predictor": name, "region": "brain", "measure": "pearson",
             "value": 0.7 + i / 100}
            for i in range(4)
            for name in ("network", "ceiling")
        ]
    )  # fmt: skip
    curves = pd.DataFrame(
        [{"tissue": "grey matter", "contrast": contrast, "cbv": cbv,
          "change_percent": (5.0 - cbv) * (-3 if contrast else 0.1)}
         for contrast in (False, True) for cbv in (2.0, 3.5, 5.0, 6.5, 8.0)]
    )  # fmt: skip
    spreads = pd.DataFrame(
        [{"tissue": "grey matter", "cause": cause, "change_percent": 0.15 * times,
          "times_blood": times}
         for cause, times in (("blood volume", 1.0), ("T1", 43.0), ("noise", 30.0),
                              ("scanner", 20.0))]
    )  # fmt: skip
    generators = pd.DataFrame(
        [{"predictor": name, "size": "demo", "learned": "from 9 simulated scans", "spearman": 0.5,
          "pearson": 0.4, "ssim": 0.3, "mae": 2.5, "grey_residual_r2": 0.01}
         for name in ("trained in this run", "shipped weights", "a < b")]
    )  # fmt: skip
    coefficients = pd.DataFrame(
        [{**WHICH, "fold": None, "model": "TAS", "term": "sex", "estimate": -0.2, "low": -0.5,
          "high": 0.1, "p": 0.2, "n_scans": 200, "residual_sd": 5.0}]
    )  # fmt: skip
    anova = pd.DataFrame(
        [{"recipe": "paper", "mode": "sound", "rows": rows, "smaller": "T", "larger": "TA",
          "n_scans": 80, "df_residual": 77, "f": 3.0, "p": 0.08} for rows in ("fitted", "test")]
    )  # fmt: skip
    quantiles = pd.DataFrame(
        [{"decade": "20–30", "model": model, "n_scans": 20, "q05": -8.0, "q25": -3, "q50": 1,
          "q75": 4, "q95": 9} for model in MODELS]
    )  # fmt: skip
    density = pd.DataFrame(
        [{"model": model, "decade": "20–30", "predicted_decade": name, "n_scans": n}
         for model in MODELS for name, n in (("20–30", 12.0), ("30–40", None))]
    )  # fmt: skip
    ledger = pd.DataFrame(
        [{"id": 1, "section": "Table 1", "claim": "a < b", "printed": "p 0.02",
          "recomputed": "p 0.3", "verdict": verdict, "reason": "in-sample", "kind": "computed",
          "recorded": "", "this_run": "p 0.4"} for verdict in ("holds", "contradicted")]
    )  # fmt: skip
    words = {("grad-cam", 5): "Grad-CAM, block 5", ("occlusion", 0): "occlusion"}
    both = [{"net": "T", "method": name, "block": block} for name, block in words]
    cascade = pd.DataFrame(
        [kind | {"layer": layer, "similarity": 0.3, "n_scans": 6}
         for kind in both for layer in ("last", "blocks.0.0")]
    )  # fmt: skip
    trials = pd.DataFrame(
        [kind | {"mode": "sound", "test": test, "value": 0.4, "chance": 0.1, "n_scans": 6,
                 "verdict": verdict}
         for kind in both for test, verdict in (("randomised", "passes"), ("mass", "fails"))]
    )  # fmt: skip
    regions = pd.DataFrame(
        [both[1] | {"mode": "sound", "decade": decade, "region": region, "n_scans": 9,
                    "n_participants": 8, "share": 0.3, "low": 0.2, "high": 0.4, "even": 0.1}
         for decade in ("20–30", "all ages") for region in ("parietal", "occipital")]
    )  # fmt: skip
    statements = pd.DataFrame(
        [both[1] | {"finding": 45, "mode": "sound", "statement": "white matter",
                    "measure": "share of the map", "value": 0.3, "null_low": 0.1, "null_high": 0.2,
                    "p": 0.005, "n_scans": 9, "outcome": outcome, "reason": "a < b"}
         for outcome in ("agrees", "not resolvable at this grid")]
    )  # fmt: skip
    phantom = pd.DataFrame(
        [{"method": name, "n_scans": 8, "pointing": 1.0, "mass": 0.3, "rank": 0.6, "decoy": 0.0,
          "chance": 0.02, "found": found}
         for name, found in (("occlusion", True), ("edges", False))]
    )  # fmt: skip
    projects = pd.DataFrame(
        [{"project": name, "n_scans": 80, "n_participants": 64, "n_repeated": 16, "n_patients": 3,
          "n_patient_scans": 4, "age_mean": 50.0, "age_sd": 20.0, "age_min": 18, "age_max": 92,
          "female": 0.5} for name in ("IXI", "all")]
    )  # fmt: skip
    reasons = pd.DataFrame({"reason": ["cut off"], "n_scans": [3]})
    ladder = pd.DataFrame(
        [{"recipe": "paper", "mode": "sound", "fitted_on": "out-of-fold", "rung": rung,
          "second": rung[-1], "status": status, "n_scans": 80, "n_participants": 64, "mae": gain,
          "gain_over_t": gain, "gain_over_t_low": gain - 0.2, "gain_over_t_high": gain + 0.2,
          "gain_over_t_p": 0.1, "gain_over_t_p_holm": 0.2}
         for rung, status, gain in (("T", "computed", float("nan")), ("T + A", "computed", 0.5),
                                    ("T + T′", "not run: needs a second seed", float("nan")))]
    )  # fmt: skip
    stability = pd.DataFrame(
        [{"scan_id": "s1", "disturbance": kind, "strength": strength, "unit": "degrees",
          "verdict": "keep", "reasons": "a < b", "predicted_age": 50 + change if change == change
          else None, "change": change, "smallest_change": 3.0}
         for kind, strength, change in (("none", 0.0, 0.0), ("tilt", 5.0, -1.5),
                                        ("noise", 7.0, 4.0), ("bias", 40.0, float("nan")))]
    )  # fmt: skip
    manifest, rows = cohort["manifest"], cohort["rows"]
    return {
        "counts_by_decade": show.counts_by_decade(manifest, source=SOURCE),
        "ages_by_study": show.ages_by_study(manifest, source=SOURCE),
        "cohort_table": show.cohort_table(projects, source=SOURCE),
        "partition_divergence": show.partition_divergence(cohort["scores"], source=SOURCE),
        "ages_by_split": show.ages_by_split(cohort["splits"], manifest, source=SOURCE),
        "verdict_counts": show.verdict_counts(cohort["quality"], source=SOURCE),
        "reasons_table": show.reasons_table(few(reasons), source=SOURCE),
        "contact_sheet": show.contact_sheet(
            [] if empty else [brain] * 3, affine, [] if empty else ["a", "b", "c"], source=SOURCE
        ),
        "scan_steps": show.scan_steps({"on the grid": brain}, affine, source=SOURCE),
        "cbv_maps": show.cbv_maps(brain, brain * 4, affine, source=SOURCE, true_cbv=brain**2),
        "signal_against_blood": show.signal_against_blood(
            few(curves), few(spreads), sequence="MPRAGE", causes="One SD: 5 %", source=SOURCE
        ),
        "generators_table": show.generators_table(few(generators), source=SOURCE),
        "cbv_scores": show.cbv_scores(few(aicbv), measure="pearson", source=SOURCE),
        "generator_curve": show.generator_curve(
            few(pd.DataFrame({"step": [1, 2], "loss": [2.0, 1.0]})), source=SOURCE
        ),
        "training_curves": show.training_curves(few(logs), source=SOURCE),
        "predicted_against_age": show.predicted_against_age(cohort["predictions"], source=SOURCE),
        "table1": show.table1(paper, None, cohort["table1"], source=SOURCE, headline=WHICH),
        "anova_table": show.anova_table(
            pd.DataFrame({"smaller": ["T"], "larger": ["TA"], "p": [2.2e-16],
                          "printed": ["< 2.2e-16"]}), None, anova, source=SOURCE,
        ),
        "coefficients_table": show.coefficients_table(
            pd.DataFrame({"model": ["TAS"], "term": ["sex"], "estimate": [-0.168], "p": [0.02]}),
            None, coefficients, source=SOURCE,
        ),
        "model_scatter": show.model_scatter(rows, source=SOURCE),
        "model_residuals": show.model_residuals(rows, source=SOURCE),
        "error_quantiles": show.error_quantiles(few(quantiles), source=SOURCE),
        "age_density": show.age_density(few(density), source=SOURCE),
        "table2": show.mae_by_group_table(
            None, None, cohort["table2"], group="age_group", source=SOURCE
        ),
        "table3": show.mae_by_group_table(
            paper.assign(project="IXI"), cohort["table3"], cohort["table3"], group="project",
            source=SOURCE,
        ),
        "mae_by_age": show.mae_by_group(cohort["table2"], group="age_group", source=SOURCE),
        "mae_by_study": show.mae_by_group(
            cohort["table3"], paper.assign(project="IXI"), group="project", source=SOURCE
        ),
        "gradcam_by_decade": show.gradcam_by_decade(
            {} if empty else {"20–30": brain, "30–40": brain},
            {"T": {"20–30": group}, "A": {"20–30": group, "30–40": group}},
            affine, source=SOURCE,
        ),
        "cascades": show.cascades(few(cascade), words, source=SOURCE),
        "trials_table": show.trials_table(few(trials), words, source=SOURCE),
        "region_figure": show.region_figure(few(regions), method="occlusion", source=SOURCE),
        "statements_table": show.statements_table(few(statements), words, source=SOURCE),
        "phantom_table": show.phantom_table(few(phantom), source=SOURCE),
        "maps_by_method": show.maps_by_method(
            brain, {} if empty else {"occlusion": brain}, {"occlusion": "windows of 32 mm"},
            affine, net="T", n={} if empty else {"occlusion": 9}, source=SOURCE,
        ),
        "differences": show.differences(few(differences), source=SOURCE, name="ladder"),
        "control_ladder": show.control_ladder(few(ladder), over="t", source=SOURCE),
        "ledger_table": show.ledger_table(few(ledger), source=SOURCE),
        "stability_chart": show.stability_chart(few(stability), source=SOURCE),
        "pipeline": show.pipeline(),
    }  # fmt: skip
