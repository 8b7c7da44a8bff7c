from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import brainage_lib
from brainage_lib.tables import PREDICTIONS, TABLE1, read_table, write_table


def brainage(*arguments):
    command = [sys.executable, "-m", "brainage_lib", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture
def predictions(tmp_path):
    """Two nets that err independently by 4 and 6 years on 120 people in two folds."""
    random = np.random.default_rng(3)
    ages = random.uniform(20, 90, 120)
    people = pd.DataFrame(
        {
            "scan_id": [f"s{i}" for i in range(120)],
            "participant_id": [f"p{i}" for i in range(120)],
            "project": "OAS1",
            "session": "1",
            "age": ages,
            "sex": random.choice(["F", "M"], 120),
            "diagnosis": "control",
            "recipe": "mine",
            "mode": "sound",
            "role": "test",
            "fold": np.arange(120) % 2,
            "seed": 0,
        }
    )
    nets = [
        people.assign(net=net, predicted_age=ages + random.normal(0, error, 120))
        for net, error in (("T", 4.0), ("A", 6.0))
    ]
    path = tmp_path / "predictions.csv"
    write_table(pd.concat(nets), path, PREDICTIONS)
    return path


def test_version_is_printed():
    answer = brainage("--version")
    assert answer.returncode == 0
    assert answer.stdout.strip() == f"brainage {brainage_lib.__version__}"


def test_good_manifest_is_counted(root):
    answer = brainage("manifest", "check", root / "data_manifest.csv")
    assert answer.returncode == 0, answer.stderr
    assert "nothing to mend" in answer.stdout


def test_bad_manifest_exits_with_3_and_no_traceback(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("scan_id,age\na,0\n")
    answer = brainage("manifest", "check", path)
    assert answer.returncode == 3
    assert "line 1, sex: column is missing; add it" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_unknown_command_exits_with_2():
    assert brainage("predictt").returncode == 2


def test_stats_writes_the_tables_of_anyones_predictions(predictions, tmp_path):
    answer = brainage("stats", predictions, "--out", tmp_path / "tables", "--replicates", 200)
    assert answer.returncode == 0, answer.stderr
    table = read_table(tmp_path / "tables" / "table1.csv", TABLE1).set_index("model")
    # Independent errors of 4 and 6 years combine to 4·6 / sqrt(16 + 36) = 3.33, MAE 2.66.
    assert table.loc["TA", "mae"] == pytest.approx(2.66, abs=0.5)
    assert table.loc["TA", "mse"] < table.loc["T", "mse"] < table.loc["A", "mse"]
    written = {path.name for path in (tmp_path / "tables").iterdir()}
    assert {"table2.csv", "table3.csv", "anova.csv", "coefficients.csv", "model.json"} <= written


def test_ledger_is_a_list_for_programs():
    answer = brainage("ledger", "--json")
    rows = json.loads(answer.stdout)
    assert len(rows) == 46
    keys = {"id", "section", "claim", "printed", "recomputed", "verdict", "reason"}
    assert all(keys <= set(row) for row in rows)


def test_help_and_statistics_load_no_heavy_package():
    code = (
        "import sys, brainage_lib, brainage_lib.stats, brainage_lib.tables, brainage_lib.cli;"
        "print([m for m in ('torch', 'nilearn', 'SimpleITK', 'plotly') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "[]", answer.stdout + answer.stderr
