"""What the page on AICBV computes: the signal's sensitivities, the cards of shipped weights."""

from __future__ import annotations

import json

import pytest

from brainage_lib.models import shipped
from brainage_lib.report import shipped_cards, signal_table
from brainage_lib.report.accuracy import NOT_YET
from brainage_lib.report.cbv_pages import real_scans, trained_ladder
from brainage_lib.train import cbv_signal

CARD = {
    "network": "AICBVGenerator", "parameters": 7795649, "precision": "float16",
    "sha256": "0123456789abcdef" * 4, "people": 400, "data": "simulated scans", "seed": 1,
    "settings": {"size": "lite", "orders": "hilbert+snake", "steps": 4000, "batch": 2,
                 "patch": 48, "learning_rate": 0.0002},
    "training_seconds": 9000, "grid": "MNI152, 4 mm", "input": "T1w", "output": "blood volume",
    "scored_on": "24 simulated people", "above_ceiling": [], "licence": "MIT",
    "not_for": ["Not a measurement.", "Not for diagnosis."],
    "scores": {"brain": {"spearman": {"network": 0.6123, "ceiling": 0.7, "T1w transform": None}}},
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    return tmp_path


def ship(folder, mm, **changes):
    (folder / f"aicbv-{mm}mm.safetensors").write_bytes(b"0" * 1_500_000)
    (folder / f"aicbv-{mm}mm.json").write_text(json.dumps(CARD | changes))


def test_without_shipped_weights_the_page_says_so(folder):
    assert "No weights are shipped with this version" in shipped_cards()


def test_each_card_is_told_whole(folder):
    ship(folder, 4)
    ship(folder, 2, people=250, above_ceiling=["brain: too much"])
    text = shipped_cards()
    coarse, fine = text.split("### 2 mm")
    assert coarse.startswith("### 4 mm")
    for part in ("7,795,649 parameters", "1.5 MB", "400 simulated scans, seed 1", "2.5 h",
                 "4,000 steps of 2 patches of 48³", "float32", "24 simulated people", "nowhere",
                 "MIT", "Not a measurement. Not for diagnosis."):  # fmt: skip
        assert part in coarse
    assert "250 simulated scans" in fine
    assert "| Above the ceiling in what it bounds (R² beyond tissue) | brain: too much |" in fine
    assert "| brain: Spearman | 0.61 | — | — | 0.70 |" in coarse
    for block in text.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1


def test_the_signals_table_is_computed():
    text = signal_table()
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    found = {row[0]: [cell.removesuffix(" %").replace("−", "-") for cell in row[1:]]
             for row in rows[2:]}  # fmt: skip
    expected = cbv_signal.sensitivities().groupby("sequence")
    assert set(found) == set(expected.groups)
    for name, part in expected:
        values = [*part["per_ml_percent"], *part["per_t1_percent"]]
        assert list(map(float, found[name])) == pytest.approx(values, abs=0.006)
    times = cbv_signal.signal_spreads().set_index(["tissue", "cause"])["times_blood"]
    grey = times["grey matter"]
    assert f"**{grey['noise']:.0f} and {grey['T1']:.0f} times more**" in text


def test_the_page_of_aicbv_has_both(root):
    page = (root / "book" / "aicbv.md").read_text(encoding="utf-8")
    for name in ("t1w_signal", "shipped"):
        assert page.count(f"```{{include}} generated/{name}.md") == 1


def test_what_was_recorded_of_real_scans_is_told(tmp_path):
    assert real_scans(tmp_path) == NOT_YET
    rows = {
        "contrast": "grid_mm,n_participants,grey,white,ratio,ratio_low,ratio_high,published_low,"
                    "published_high\n2,30,4.81,2.22,2.166,2.1,2.24,2.1,2.7\n",
        "atlas": "map,region,pearson,spearman,spearman_low,spearman_high,n_voxels\n"
                 "AICBV,brain,0.4,0.512,0.5,0.52,12345\n"
                 "AICBV,white matter,0.1,-0.05,-0.06,-0.04,456\n"
                 "AICBV,grey matter,0.1,0.02,0.01,0.03,789\n"
                 "mean grey,brain,0.3,0.498,,,12345\n"
                 "mean grey,white matter,0.1,0.11,,,456\nmean grey,grey matter,0.1,0.03,,,789\n",
        "repeats": "comparison,pearson,pearson_low,pearson_high,spearman,concordance,psnr,ssim,n\n"
                   "\"AICBV, scan 1 against 2\",0.97,0.96,0.98,0.95,0.9,31.2,0.94,18\n"
                   "gadolinium,0.8,,,0.4,,27.7,0.83,11\n",
    }  # fmt: skip
    for name, text in rows.items():
        (tmp_path / f"{name}.csv").write_text(text)
    page = real_scans(tmp_path)
    for part in (
        "weights of 2 mm on 30 controls", "ratio 2.17 (2.10 to 2.24) (in brackets",
        "published of pure tissue 2.1 to 2.7", "| brain | 0.51 (0.50 to 0.52) | 0.50 | 12,345 |",
        "agree with the atlas by 0.02 (0.01 to 0.03)",
        "| white matter | −0.05 (−0.06 to −0.04) | 0.11 | 456 |",
        "| AICBV, scan 1 against 2 | 18 | 0.97 (0.96 to 0.98) | 0.95 | 31.20 | 0.94 |",
        "| gadolinium | 11 | 0.80 | 0.40 | 27.70 | 0.83 |",
    ):  # fmt: skip
        assert part in page


def test_the_trained_ladder_counts_the_cohorts_in_which_blood_is_found(tmp_path):
    assert trained_ladder(tmp_path) == NOT_YET
    (tmp_path / "trained.csv").write_text(
        "rung,second,n_scans,mae,mae_low,mae_high,gain_over_t,gain_over_t_low,gain_over_t_high,"
        "gain_over_second_look,gain_over_second_look_low,gain_over_second_look_high,size,seed,"
        "epochs\n"
        "T,none,140,7.0,6.5,7.5,,,,,,,150,0,20\n"
        "T + T′,T1w again,140,7.1,6.6,7.6,-0.1,-0.3,0.1,,,,150,0,20\n"
        "T + A,AICBV,140,6.8,6.3,7.3,0.2,-0.1,0.5,0.05,-0.2,0.3,150,0,20\n"
        "T + M,tissue maps,140,6.8,6.3,7.3,0.2,-0.1,0.5,0.05,-0.2,0.3,150,0,20\n"
        "T + P,planted signal,140,5.0,4.5,5.5,2.0,1.5,2.5,1.8,1.2,2.4,150,0,20\n"
        "T + B,true blood volume,140,6.0,5.5,6.5,1.0,0.5,1.5,0.8,0.3,1.3,150,0,20\n"
        "T + T′,T1w again,280,5.9,5.5,6.2,0.4,-0.3,0.6,,,,300,1,20\n"
        "T + M,tissue maps,280,6.0,5.7,6.3,0.3,0.1,0.5,0.2,0.1,0.3,300,1,20\n"
        "T + A,AICBV,280,6.0,5.7,6.3,0.3,0.1,0.5,0.2,0.1,0.3,300,1,20\n"
        "T + P,planted signal,280,5.0,4.5,5.5,2.0,1.5,2.5,1.8,1.2,2.4,300,1,20\n"
        "T + B,true blood volume,280,6.0,5.5,6.5,0.1,-0.5,1.5,0.1,-0.3,1.3,300,1,20\n"
    )
    page = trained_ladder(tmp_path)
    for part in (
        "20 epochs in two folds, on 2 cohorts", "AICBV in 1 of 2",
        "the true blood volume in 1 of 2", "a planted signal in 2 of 2",
        "tissue maps in 1 of 2", "gains −0.10 to 0.40 years over T",
        "differ beyond theirs in 1 of 2",
        "| 150 | 0 | T: none | 140 | 7.00 (6.50 to 7.50) | – | – |",
        "| 0.20 (−0.10 to 0.50) | 0.05 (−0.20 to 0.30) |",
    ):  # fmt: skip
        assert part in page
