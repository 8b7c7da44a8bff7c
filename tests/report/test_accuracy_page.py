"""The page "How accurate" is made of what the bench and the packing wrote, and of nothing else."""

from __future__ import annotations

import pandas as pd
import pytest

from brainage_lib.files import write_json
from brainage_lib.report.accuracy import accuracy_page, model_card

INTERVAL = ("", "_low", "_high")


@pytest.fixture
def folder(tmp_path):
    """What `benchmarks/accuracy.py` writes, of two rows."""
    row = {"n_scans": 390, "n_participants": 370, "mae": 6.5, "mae_low": 6.0, "mae_high": 7.0,
           "mae_over_sd": 0.3, "r2": 0.86, "bias_slope": -0.12,
           "mae_OAS1": 7.0, "low_OAS1": 6.2, "high_OAS1": 7.8,
           "mae_IXI": 5.5, "low_IXI": 5.0, "high_IXI": 6.0,
           "mae_CoRR": 3.0, "low_CoRR": 2.0, "high_CoRR": 4.0,
           "mae_Mine": 9.0, "low_Mine": 8.0, "high_Mine": 9.9, "seconds": 12.0,
           "to_row_above_difference": float("nan"), "to_row_above_low": float("nan"),
           "to_row_above_high": float("nan")}  # fmt: skip
    better = row | {"mae": 5.25, "to_row_above_difference": -1.25, "to_row_above_low": -1.7,
                    "to_row_above_high": -0.8, "seconds": float("nan")}  # fmt: skip
    tables = {
        "levers": [{"recipe": "ridge on voxels", **row}, {"recipe": "network: small", **better}],
        "by_decade": [{"recipe": "ridge on voxels", "decade": "20–30", "n_scans": 120, "mae": 4.0,
                       "mae_low": 3.5, "mae_high": 4.5}],
        "choosing": [{"best": "network: small", "mae_of_best": 5.25,
                      "mae_when_chosen_elsewhere": 5.35, "optimism": 0.1, "folds": 5,
                      "folds_that_choose_it": 4}],
        "repeats": [{"recipe": "network: small", "n_participants": 18, "icc": 0.95, "bias": 0.1,
                     "sd": 1.25, "smallest_detectable_change": 3.46}],
        "learning_curve": [{"people": 50, "mae": 9.0, "kind": "measured"},
                           {"people": 2278, "mae": 4.9, "kind": "carried on by 30.0 n^-0.24"}],
        "studies": [{"recipe": "ridge", "tested": "IXI", "n_scans": 148, "mae": 8.0,
                     "mae_low": 7.1, "mae_high": 8.9, "mean_gap": -3.5,
                     "bias_slope": -0.2, "mae_after_10": 6.5}],
        "facts": [{"what": "manifest sha256", "value": "a" * 64}, {"what": "profile", "value": "x"},
                  {"what": "folds", "value": 5}, {"what": "scans", "value": 390},
                  {"what": "participants", "value": 370}],
    }  # fmt: skip
    for name, rows in tables.items():
        pd.DataFrame(rows).to_csv(tmp_path / f"{name}.csv", index=False)
    return tmp_path


def test_the_best_row_is_told_first_beside_the_papers_numbers(folder):
    text = accuracy_page(folder)
    answer = text.splitlines()[0]
    assert "5.25 (6.00–7.00) years on 390 scans of 370 people, age SD 17.5" in answer
    assert "OAS1 7.00 (6.20–7.80), the paper prints 4.80" in answer
    assert "4.17" in answer
    assert "CoRR 3.00 (2.00–4.00), the paper prints" in answer
    assert "Mine 9.00 (8.00–9.90))" in answer
    assert "Kept from a whole study" not in answer


def test_the_answer_says_what_the_best_row_errs_by_on_a_study_it_never_saw(folder):
    studies = pd.read_csv(folder / "studies.csv").assign(recipe="network: small")
    studies.to_csv(folder / "studies.csv", index=False)
    answer = accuracy_page(folder).splitlines()[0]
    assert "the same recipe errs by 8.00 (7.10–8.90) years on IXI**" in answer


def test_registering_again_is_told_where_it_was_measured(folder):
    assert "Registering again" not in accuracy_page(folder)
    row = {"recipe": "ridge", "n_scans": 266, "n_participants": 248,
           "delivered": 8.3, "delivered_low": 7.5, "delivered_high": 9.2,
           "again": 8.0, "again_low": 7.3, "again_high": 8.9,
           "step_difference": -0.3, "step_low": -0.5, "step_high": -0.1}  # fmt: skip
    other = row | {"recipe": "forest", "step_difference": 0.1, "step_low": -0.1, "step_high": 0.3}
    pd.DataFrame([row, other]).to_csv(folder / "registered_again.csv", index=False)
    text = accuracy_page(folder)
    assert "266 scans of 248 controls" in text
    assert "Of 2 recipes registering again helps 1 and harms 0" in text
    assert "| ridge | 8.30 (7.50–9.20) | 8.00 (7.30–8.90) | −0.30 (−0.50 to −0.10) |" in text


def test_every_row_has_its_interval_and_its_step(folder):
    text = accuracy_page(folder)
    assert "| network: small | 5.25 (6.00–7.00) |" in text
    assert "| −1.25 (−1.70 to −0.80) | – |" in text
    assert "errs by 5.35 years instead of 5.25: an optimism of +0.10 (4 of 5" in text
    assert "| 2,278 | 4.90 | carried on by 30.0 n^-0.24 |" in text
    assert "| network: small | 18 | 0.95 | 1.25 | 3.5 |" in text
    assert "| ridge | IXI | 148 | 8.00 (7.10–8.90) | −3.50 | −0.20 | 6.50 |" in text


def test_its_headings_follow_the_pages_own(folder):
    """Sphinx takes a heading that skips a level for an error, and builds no page."""
    heads = [line.split(" ")[0] for line in accuracy_page(folder).splitlines() if line[:1] == "#"]
    assert len(heads) == 4
    assert "|  |" not in accuracy_page(folder)
    assert set(heads) == {"##"}


def test_a_missing_table_is_said_and_not_guessed(folder):
    (folder / "choosing.csv").unlink()
    assert accuracy_page(folder) == "*Not recorded yet.*\n"


def test_the_card_of_shipped_networks_is_a_table(tmp_path):
    assert "No networks" in model_card(tmp_path)
    errors = {"n_scans": 300, "n_participants": 280, "mae": 5.0, "mae_low": 4.5, "mae_high": 5.5}
    card = {
        "reads": "T1w", "gives": "age", "n_scans": 300, "trained_on": "real scans",
        "age_range": [20, 90], "sex": {"F": 160, "M": 140}, "headline": {"recipe": "tissue"},
        "licence": "CC BY-SA 4.0", "not_for": ["diagnosis"], "sha256": {"a": "b"},
        "out_of_fold": {"all": [errors], "by_project": [errors | {"project": "IXI"}],
                        "by_age": [errors | {"age_group": "20–25"},
                                   errors | {"age_group": "25–30", "n_scans": 0}]},
    }  # fmt: skip
    write_json(tmp_path / "model_card.json", card)
    text = model_card(tmp_path)
    assert "300 real scans; ages 20–90; 160 women's, 140 men's scans" in text
    assert "| IXI | 300 | 280 | 5.00 (4.50–5.50) |" in text
    assert "|  |" not in text  # a head without words is a barrier
    assert "Ages 20–25" in text
    assert "25–30" not in text
