"""Predictions with planted properties come back with the right verdicts, through the command."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from brainage_lib.stats import ANALYSIS
from brainage_lib.tables import (
    BIAS,
    BY_SEX,
    CORRECTED,
    COVERAGE,
    DIFFERENCES,
    LADDER,
    LEFT_OUT,
    PATIENTS,
    PREDICTIONS,
    RELIABILITY,
    SCANS,
    STUDIES,
    TABLE1,
    choose,
    read_table,
    write_table,
)

MAIN = {"recipe": "mine", "mode": "sound"}
SLOPE, OLDER, WOMEN, SHIFT, NOISE = -0.25, 7.0, 3.0, 8.0, 2.0


def planted(n=900, seed=23, null=True):
    """Networks of known errors on people of two visits, with patients and a hard study.

    The gap falls by 0.25 years a year; patients look 7 years older than controls, women 3 years
    younger than men; people of the study HARD err by 8 years more or less; two visits differ by
    errors of 2 years. With ``null`` the second network is the first one and noise.
    """
    rng = np.random.default_rng(seed)
    people = pd.DataFrame(
        {
            "participant_id": [f"p{i:04}" for i in range(n)],
            "project": np.array(["EASY", "HARD", "OTHER"])[np.arange(n) % 3],
            "first": rng.uniform(20, 85, n),
            "sex": rng.choice(["F", "M"], n),
            "ill": np.arange(n) % 10 == 9,
            "fold": rng.integers(0, 3, n),
        }
    )
    trait = rng.normal(0, 5, n) + SLOPE * (people["first"] - 52.5)
    trait += OLDER * people["ill"] - WOMEN * ((people["sex"] == "F") - 0.5)
    trait += SHIFT * rng.choice([-1, 1], n) * (people["project"] == "HARD")
    parts = []
    for visit in (1, 2):
        rows = people.assign(
            session=str(visit),
            scan_id=people["participant_id"] + f"v{visit}",
            age=people["first"] + 2 * (visit - 1),
            gap=trait + rng.normal(0, NOISE, n),
        )
        parts.append(rows if visit == 1 else rows.iloc[: n // 3])
    scans = pd.concat(parts, ignore_index=True)
    scans["diagnosis"] = np.where(scans["ill"], "AD", "control")
    scans["role"] = np.where(scans["ill"], "apart", "test")
    t = scans["age"] + scans["gap"]
    extra = rng.normal(0, 4, len(scans))
    a = t + extra if null else scans["age"] + rng.normal(0, 6, len(scans))
    kept = ["scan_id", "participant_id", "project", "session", "age", "sex", "diagnosis",
            "role", "fold"]  # fmt: skip
    both = [
        scans[kept].assign(**MAIN, net=net, seed=0, predicted_age=age)
        for net, age in (("T", t), ("A", a))
    ]
    return pd.concat(both, ignore_index=True)


def run_stats(table, folder, *options):
    write_table(table, folder / "predictions.csv", PREDICTIONS)
    out = folder / "out"
    command = [sys.executable, "-m", "brainage_lib", "stats", str(folder / "predictions.csv"),
               "--out", str(out), "--replicates", "1000", *options]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return done, out


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Folder with what the command says of the planted table."""
    done, out = run_stats(planted(), tmp_path_factory.mktemp("planted"))
    assert done.returncode == 0, done.stderr
    return out


def of(told, name, schema, **chosen):
    return choose(read_table(told / f"{name}.csv", schema), **MAIN, **chosen)


def test_every_table_is_there_and_keeps_its_schema(told):
    for name, schema in ANALYSIS.items():
        if name != "false_alarms":  # the table has no training rows
            assert len(read_table(told / f"{name}.csv", schema)) > 0
    assert (told / "report.html").is_file()
    assert {"model.json", "calibration.json"} <= {path.name for path in told.iterdir()}


def test_a_second_network_that_brings_nothing_is_not_called_useful(told):
    row = of(told, "differences", DIFFERENCES, first="T", second="TA").iloc[0]
    assert row["low"] < 0 < row["high"]
    assert row["p_holm"] > 0.05
    rung = of(told, "ladder", LADDER, rung="T + A").iloc[0]
    assert not (rung["gain_over_t"] > 0 and rung["gain_over_t_p_holm"] < 0.05)
    assert of(told, "ladder", LADDER, rung="T + P").iloc[0]["gain_over_t_low"] > 0


@pytest.mark.slow
def test_a_second_network_of_its_own_errors_is_called_useful(tmp_path):
    done, out = run_stats(planted(n=450, null=False), tmp_path, "--no-page")
    assert done.returncode == 0, done.stderr
    row = of(out, "differences", DIFFERENCES, first="T", second="TA").iloc[0]
    assert row["low"] > 0
    assert row["p_holm"] < 0.05
    assert not (out / "report.html").exists()


def test_the_planted_bias_is_found_and_taken_out(told):
    """Stacking rescales T, so that the raw slope is that of regression towards the mean."""
    table = of(told, "bias", BIAS, model="T").set_index("kind")
    assert table.loc["raw", "slope_high"] < 0
    for kind in ("linear", "lowess"):
        assert abs(table.loc[kind, "slope"]) < 0.03
        assert table.loc[kind, "uses_true_age"]
    scans = of(told, "scans", SCANS, model="T", role="test")
    slope = np.polyfit(scans["age"], scans["predicted_age"] - scans["age"], 1)[0]
    assert table.loc["raw", "slope"] == pytest.approx(slope)


def test_intervals_have_the_width_that_errors_call_for_and_cover_as_said(told):
    whole = of(told, "coverage", COVERAGE, model="T", by="all").set_index("kind")
    scans = of(told, "scans", SCANS, model="T", role="test")
    error = (scans["predicted_age"] - scans["age"]).abs()
    assert whole.loc["constant", "half_width"] == pytest.approx(error.quantile(0.9), rel=0.06)
    assert (whole["verdict"] == "as said").all()
    covered = (scans["age"] >= scans["interval_low"]) & (scans["age"] <= scans["interval_high"])
    assert covered.mean() == pytest.approx(whole.loc["constant", "covered"])


def test_the_hard_study_is_covered_too_seldom_and_called_hard(told):
    table = of(told, "coverage", COVERAGE, model="T", kind="constant", by="project")
    verdicts = table.set_index("group")["verdict"]
    assert verdicts["HARD"] == "too few"
    assert verdicts["EASY"] == "too many"
    ratio = of(told, "studies", STUDIES, model="T").set_index("project")
    assert ratio.loc["HARD", "ratio_low"] > 1
    assert ratio.loc["EASY", "ratio_high"] < 1


def test_patients_look_as_much_older_as_planted(told):
    table = of(told, "patients", PATIENTS, model="T", gap="linear").iloc[0]
    coefficients = pd.read_csv(told / "coefficients.csv")
    slope = coefficients.query("model == 'T' and term == 'T' and fold != fold")["estimate"].item()
    # Stacking multiplies every gap by T's coefficient.
    assert table["low"] < slope * OLDER < table["high"]
    assert table["low"] > 0
    assert table["trained_on"] == 0


def test_women_and_men_are_told_apart_by_their_gap(told):
    row = of(told, "by_sex", BY_SEX, model="T", sex="F − M").iloc[0]
    assert row["corrected_gap_high"] < 0
    assert row["corrected_gap_low"] < -WOMEN < row["corrected_gap_high"] + 1.5


def test_repeated_scans_give_the_planted_noise(told):
    row = of(told, "reliability", RELIABILITY, model="T").iloc[0]
    coefficients = pd.read_csv(told / "coefficients.csv")
    slope = coefficients.query("model == 'T' and term == 'T' and fold != fold")["estimate"].item()
    # Two years between the visits: the stacked age moves by slope times them, age by them.
    shift = 2 * (slope - 1)
    expected = 1.96 * np.sqrt(2 * (slope * NOISE) ** 2 + shift**2)
    assert row["smallest_change"] == pytest.approx(expected, rel=0.12)
    assert 0.8 < row["icc"] < 1


def test_a_study_that_was_left_out_is_stacked_without_its_own_rows(told):
    table = of(told, "left_out", LEFT_OUT, model="T").set_index("project")
    assert set(table.index) == {"EASY", "HARD", "OTHER"}
    assert set(table["left_out_of"]) == {"stacking; networks unknown"}


def test_corrected_values_are_flagged_and_refused_as_predictions(told, tmp_path):
    table = read_table(told / "corrected.csv", CORRECTED)
    assert table["uses_true_age"].all()
    path = tmp_path / "corrected.csv"
    planted(n=60).assign(gap_corrected=0.0).to_csv(path, index=False)
    command = [sys.executable, "-m", "brainage_lib", "stats", str(path), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 3
    assert "corrected with the true age" in done.stderr


@pytest.mark.slow
def test_duplicated_people_are_named_and_do_not_narrow_intervals_under_one_name(told, tmp_path):
    once = planted()
    copy = once.assign(scan_id="c" + once["scan_id"])
    done, out = run_stats(pd.concat([once, copy]), tmp_path, "--no-page")
    assert done.returncode == 0, done.stderr
    before, after = (of(place, "table1", TABLE1, model="T").iloc[0] for place in (told, out))
    assert after["n_scans"] == 2 * before["n_scans"]
    width = before["mae_high"] - before["mae_low"]
    assert after["mae_high"] - after["mae_low"] == pytest.approx(width, rel=0.02)
    assert "another person" not in done.stderr
    other = copy.assign(participant_id="c" + copy["participant_id"])
    done, _ = run_stats(pd.concat([once, other]), tmp_path, "--no-page")
    assert "one person under two names is counted twice" in done.stderr


def test_page_is_whole_and_asks_no_host(told):
    page = (told / "report.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    outside = page.split("</script>", 1)[1]  # plotly.js names hosts that it does not ask
    assert not re.search(r"""(?:src|href)=["']https?:""", outside)
    for heading in ("Table 1", "Women and men", "Patients against controls", "Repeated scans"):
        assert heading in outside
    assert outside.count('role="img" aria-label="') >= 12
    assert "p0001" not in re.sub(r"base64,[^\"]+", "", outside)
