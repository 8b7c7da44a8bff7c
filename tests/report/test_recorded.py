"""A recording: complete, of real scans, and with nobody in it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from brainage_lib import data, stats
from brainage_lib.errors import BadInput, WrongUsage
from brainage_lib.files import digest_file, write_json
from brainage_lib.imaging import grid
from brainage_lib.report.recorded import NEEDED, record
from brainage_lib.report.recorded_check import check, faults
from brainage_lib.report.recorded_tables import Finished
from brainage_lib.run import Run, plan_networks, start_run
from brainage_lib.tables import (
    AICBV_SCORES,
    ANOVA,
    ATTRIBUTION,
    COEFFICIENTS,
    LADDER,
    LEDGER,
    MANIFEST,
    PREDICTIONS,
    QUALITY,
    SPLIT_SCORES,
    SPLITS,
    STATEMENTS,
    TABLE1,
    TABLE2,
    TABLE3,
    Recorded,
    choose,
    decade,
    read_table,
    write_table,
)
from brainage_lib.tables.recorded import RECORDED

PROFILE = {
    "cohort": "none.csv", "grid_mm": 4, "modes": ["paper", "sound"], "folds": 2, "epochs": 1,
    "patience": 1, "batch": 3, "learning_rate": 0.0001, "patients": "apart", "bootstrap": 100,
    "generator": {
        "size": "demo", "patch": 16, "overlap": 0.25, "people": 1, "steps": 1, "batch": 1,
        "learning_rate": 0.001,
    },
}  # fmt: skip
SHAPE = grid(4).shape
# Decades of many, of some and of few people: of three and of two nothing may be told.
PEOPLE = {20: 60, 30: 3, 40: 24, 60: 14, 70: 9, 90: 2}


def make_manifest() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    ages = np.concatenate([rng.uniform(low, low + 5, n) for low, n in PEOPLE.items()])
    n = len(ages)
    rows = pd.DataFrame(
        {
            "scan_id": [f"OAS1_{i:04}_MR1" for i in range(n)],
            "participant_id": [f"OAS1_{i:04}" for i in range(n)],
            "project": ["OAS1"] * (n - 7) + ["IXI"] * 7, "session": "1", "age": ages,
            "sex": rng.choice(["F", "M"], n), "diagnosis": "control",
            "path": [f"scans/OAS1_{i:04}_MR1.nii.gz" for i in range(n)],
            "t1w_state": "mni152-brain",
        }
    )  # fmt: skip
    ill = rows.iloc[:6].assign(
        scan_id=[f"ILL_{i}" for i in range(6)], participant_id=[f"ILL_{i}" for i in range(6)],
        diagnosis="AD", path=[f"scans/ILL_{i}.nii.gz" for i in range(6)],
    )  # fmt: skip
    return pd.concat([rows, ill], ignore_index=True)


def predict(run: Run, recipes, seed=0) -> pd.DataFrame:
    """Predictions with errors of 6 years; a recipe whose name begins with linear has T alone."""
    rng = np.random.default_rng(seed)
    splits = pd.read_csv(run.path("splits.csv"))
    rows = splits.merge(data.read_cohort(run), on="scan_id")
    rows = rows.drop(columns=["partition", "path", "t1w_state"])
    parts = [
        rows.assign(recipe=recipe, net=net, seed=0, predicted_age=rows["age"] + error)
        for recipe in recipes
        for net in (("T",) if recipe.startswith("linear") else ("T", "A"))
        for error in [rng.normal(0, 6, len(rows))]
    ]
    table = pd.concat(parts, ignore_index=True)
    return table[(table["recipe"] == "paper") | (table["mode"] == "sound")]


def make_run(folder, recipes=("paper", "linear-svr"), seed=0, **changes) -> Run:
    """A finished run of made-up people whose scans are said to be real."""
    folder.mkdir(parents=True)
    trained = [name for name in recipes if not name.startswith("linear")]
    modes = ["paper", "sound"] if "paper" in trained else ["sound"]
    (folder / "asked.yml").write_text(
        yaml.safe_dump({**PROFILE, "recipes": trained, "modes": modes, **changes})
    )
    run = start_run(folder, folder / "asked.yml")
    manifest = make_manifest()
    write_table(manifest, run.path("manifest.csv"), MANIFEST)
    write_json(run.path("cohort.json"), {"simulated": False, "folder": None})
    quality = manifest[["scan_id", "project"]].assign(
        verdict=["look" if i < 2 else "keep" for i in range(len(manifest))], reasons=""
    )
    for name in QUALITY.columns:
        quality[name] = quality.get(name, 1.0)
    write_table(quality, run.path("quality.csv"), QUALITY)
    splits = [data.sound_split(manifest, run.profile.folds, 0)]
    if "paper" in modes:
        splits.append(data.paper_split(manifest, 0, "apart"))
    for name, schema, tables in zip(
        ("splits", "split_scores"), (SPLITS, SPLIT_SCORES), zip(*splits, strict=True), strict=True
    ):
        write_table(pd.concat(tables, ignore_index=True), run.path(f"{name}.csv"), schema)
    predictions = predict(run, recipes, seed)
    write_table(predictions, run.path("predictions.csv"), PREDICTIONS)
    stacked, often = stats.stack(predictions), {"replicates": 100}
    for name, table, schema in (
        ("stacking/table1", stats.table1(stacked, **often), TABLE1),
        ("stacking/anova", stats.anova(stacked, **often), ANOVA),
        ("stacking/coefficients", stacked.coefficients, COEFFICIENTS),
        ("table2", stats.table2(stacked, **often), TABLE2),
        ("table3", stats.table3(stacked, **often), TABLE3),
        ("cbv/ladder", stats.ladder(predictions, trained[0], "sound", 100), LADDER),
        ("ledger", stats.ledger(), LEDGER),
        ("aicbv/scores", make_scores(), AICBV_SCORES),
    ):
        write_table(table, run.path(f"{name}.csv"), schema)
    make_networks(run)
    make_maps(run, trained[0])
    make_statements(run)
    tables = {"predictions.csv": digest_file(run.path("predictions.csv"))}
    for chapter in dict.fromkeys(NEEDED.values()):
        card = {"chapter": chapter, "seconds": 2.0, "commit": "abc", "device": "CPU",
                "versions": {}, "tables": tables}  # fmt: skip
        write_json(run.path("cards", f"{chapter}.json"), card)
    return run


def make_scores() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"scan_id": f"simulated-{i}", "predictor": "network", "region": "brain",
             "measure": "pearson", "value": 0.5 + 0.1 * i}
            for i in range(3)
        ]
    )  # fmt: skip


def make_networks(run: Run) -> None:
    import torch

    from brainage_lib.models import save_weights

    facts = {"epochs": "9", "best_epoch": "7", "validation_mae": "6.5"}
    for key in plan_networks(run.profile):
        path = run.network_folder(*key) / "weights.safetensors"
        save_weights({"weight": torch.zeros(1)}, path, facts)


def make_maps(run: Run, recipe: str) -> None:
    rng = np.random.default_rng(2)
    splits = pd.read_csv(run.path("splits.csv"))
    tested = splits[(splits["mode"] == "sound") & (splits["role"] == "test")]
    sizes = decade(data.read_cohort(run).set_index("scan_id").loc[tested["scan_id"], "age"])
    sizes = pd.Series(sizes).value_counts().sort_index()
    sizes = sizes[sizes > 0]
    tables = []
    for net in ("T", "A"):
        table = pd.DataFrame(
            {
                "recipe": recipe, "mode": "sound", "net": net, "decade": sizes.index.astype(str),
                "n_scans": sizes.to_numpy(), "small": sizes.to_numpy() < 10, "sagittal": 1.0,
                "coronal": 1.0, "axial": 1.0, "mass_outside": 0.1, "outside": 0.6,
            }
        )  # fmt: skip
        where = run.path("attribution", "sound", net)
        write_table(table, where / "groups.csv", ATTRIBUTION)
        inside = np.zeros(SHAPE, np.float16)
        inside[12:36, 16:48, 12:36] = 1
        for name, n in (("map", len(sizes)), ("t1w", len(sizes)), ("folds", 2)):
            values = rng.random((n, *SHAPE), np.float32) * inside
            np.save(where / f"{name}.npy", values.astype(np.float16).round(1))
        np.save(where / "brain.npy", np.stack([inside] * len(sizes)))
        tables.append(table)
    write_table(pd.concat(tables), run.path("attribution", "groups.csv"), ATTRIBUTION)


def make_statements(run: Run) -> None:
    """Of all that were tested, and of twelve, of whom few are old."""
    tried = {"mode": "sound", "measure": "share", "value": 0.3, "null_low": 0.1, "null_high": 0.2,
             "p": 0.01, "outcome": "agrees", "reason": ""}  # fmt: skip
    young = {"finding": 43, "net": "T", "statement": "medial prefrontal in the young"}
    change = {"finding": 44, "net": "A", "statement": "medial temporal more in the old"}
    both = {"finding": 34, "net": "T and A", "statement": "mutually exclusive regions"}
    methods = (("signed-grad-cam", 2, 67), ("occlusion", 0, 12))
    table = pd.DataFrame(
        tried | row | {"method": method, "block": block, "n_scans": n}
        for method, block, n in methods
        for row in (young, change, both)
    )
    write_table(table, run.path("attribution", "statements.csv"), STATEMENTS)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "real")


@pytest.fixture(scope="module")
def recording(run, tmp_path_factory):
    return record(run, "oas1", tmp_path_factory.mktemp("book") / "recorded")


@pytest.fixture
def copied(run, tmp_path):
    """The run, for a test that changes it."""
    return Run(shutil.copytree(run.folder, tmp_path / "real"))


def read(recording, name):
    return read_table(recording / f"{name}.csv", RECORDED[name])


def test_every_table_is_there_and_keeps_its_schema(recording):
    assert {path.name for path in recording.iterdir()} == {
        *(f"{name}.csv" for name in RECORDED), "card.json", "maps-paper.npz",
    }  # fmt: skip
    for name in RECORDED:
        assert len(read(recording, name)), name


def test_numbers_are_those_of_the_run(run, recording):
    expected = pd.read_csv(run.path("stacking/table1.csv"))
    pd.testing.assert_frame_equal(pd.read_csv(recording / "table1.csv"), expected)
    networks = read(recording, "networks")
    assert set(networks["recipe"]) == {"paper", "linear-svr"}
    assert networks["guess_mae"].gt(networks["mae"]).all()
    trainings = read(recording, "trainings")
    assert len(trainings) == len(plan_networks(run.profile))
    assert set(trainings["best_epoch"]) == {7}
    scores = read(recording, "aicbv_scores")
    assert scores.loc[0, ["value", "n_scans"]].tolist() == [pytest.approx(0.6), 3]


def test_statements_about_regions_are_told_of_enough_people_only(run, recording):
    table = read(recording, "statements")
    assert set(table["recipe"]) == {"paper"}
    few = table[table["hidden"]].set_index(["method", "statement"])
    assert list(few.index) == [("occlusion", "medial temporal more in the old")]
    assert few[["value", "null_low", "null_high", "p", "n_scans"]].isna().all(axis=None)
    assert few["outcome"].tolist() == ["not tested"]
    assert few["reason"].str.contains("fewer than 5 participants").all()
    shown = table[~table["hidden"]]
    assert shown["value"].eq(0.3).all()
    assert dict(zip(shown["method"], shown["n_scans"], strict=True)) == {
        "signed-grad-cam": 65, "occlusion": 10,
    }  # fmt: skip


def test_a_statement_of_few_people_that_is_shown_is_found(run, recording, tmp_path):
    folder = shutil.copytree(recording, tmp_path / "oas1")
    table = pd.read_csv(folder / "statements.csv")
    table.loc[table["hidden"], ["value", "n_scans", "hidden"]] = [0.3, 5, False]
    table.to_csv(folder / "statements.csv", index=False)
    with pytest.raises(BadInput, match="said of fewer than 5 participants is shown"):
        check(folder, Finished(run))
    table["n_scans"] = 12
    table.to_csv(folder / "statements.csv", index=False)
    assert any("no multiple of 5" in line for line in faults(folder))


def test_the_ledger_is_told_what_is_recorded_or_that_nothing_is(recording, tmp_path):
    folder = shutil.copytree(recording, tmp_path / "recorded")
    told = stats.tell_statements(Recorded(folder).table("statements", recipe="paper", mode="sound"))
    assert set(told) == {34, 43, 44}
    assert "n at least 65" in told[43]
    assert "occlusion" not in told[44]
    (folder / "statements.csv").unlink()
    older = stats.tell_statements(Recorded(folder).table("statements", recipe="paper"))
    assert set(older) == {34, 41, 43, 44, 45, 46}
    assert set(older.values()) == {"not recorded"}


def test_groups_of_few_people_have_no_numbers(recording):
    table = choose(read(recording, "table2"), mode="sound", model="TA")
    hidden = set(table.loc[table["hidden"], "age_group"])
    assert {"30–35", "90–95"} <= hidden
    assert table.loc[table["hidden"], ["mae", "n_scans"]].isna().all(axis=None)
    quantiles = choose(read(recording, "error_quantiles"), mode="sound", model="TA")
    known = quantiles.set_index("decade")["q50"].notna()
    assert known["20–30"]
    assert not known["70–80"]  # nine people
    attribution = choose(read(recording, "attribution"), net="T").set_index("decade")
    assert attribution.loc["70–80", "n_scans"] == 9
    assert pd.isna(attribution.loc["30–40", "mass_outside"])


def test_maps_are_of_ten_people_or_more(recording):
    from brainage_lib.explain.finished import recorded_maps

    shown, kind = Recorded(recording), {"recipe": "paper", "mode": "sound"}
    maps = recorded_maps(shown, kind)
    assert np.array_equal(maps.affine, grid(4).affine)
    assert list(maps.t1w) == ["20–30", "40–50", "60–70"]
    assert set(maps.groups) == {"T", "A"}
    assert maps.groups["A"]["60–70"].n_scans == 14
    assert maps.t1w["20–30"].shape == SHAPE
    assert recorded_maps(shown, {**kind, "recipe": "other"}) is None
    assert recorded_maps(shown, None) is None
    where = set(read(recording, "overlap")["where"])
    assert where == {"all ages", "20–30 years", "40–50 years", "60–70 years"}


def test_few_scans_that_were_looked_at_are_counted_with_those_kept(recording):
    quality = read(recording, "quality")
    assert quality["verdict"].tolist() == ["keep or look"]
    assert quality["n_scans"].tolist() == [sum(PEOPLE.values())]


def test_card_has_no_path_and_one_piece_a_recipe(run, recording):
    text = (recording / "card.json").read_text()
    card = json.loads(text)
    assert set(card["pieces"]) == {"paper", "linear-svr"}
    assert card["pieces"]["paper"]["profile"]["cohort"] == "none.csv"
    assert str(run.folder) not in text
    assert card["cohort"]["controls"]["n_scans"] == sum(PEOPLE.values())
    assert "tables" not in card["pieces"]["paper"]["chapters"]["06_stacking_and_anova"]


def test_a_run_recorded_again_gives_the_same_bytes(run, recording, tmp_path):
    again = record(run, "oas1", tmp_path / "recorded")
    for path in recording.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name


def test_another_recipe_of_the_cohort_is_added_and_its_own_rows_are_replaced(run, tmp_path):
    into = tmp_path / "recorded"
    record(run, "oas1", into)
    before = read(into / "oas1", "table1")
    other = make_run(tmp_path / "other", recipes=("sound",), seed=1)
    record(other, "oas1", into)
    both = Recorded(into / "oas1")
    table = both.table("table1")
    pd.testing.assert_frame_equal(choose(table, recipe="paper"), choose(before, recipe="paper"))
    assert set(table["recipe"]) == {"paper", "sound"}
    assert set(both.card["pieces"]) == {"paper", "linear-svr", "sound"}
    assert {path.name for path in both.folder.glob("*.npz")} == {"maps-paper.npz", "maps-sound.npz"}
    assert set(both.table("split_scores")["mode"]) == {"paper", "sound"}
    assert both.table("cohort")["who"].eq("controls").any()
    headline = {"recipe": "sound", "mode": "sound", "fitted_on": "out-of-fold"}
    assert both.kind(headline) == headline
    assert both.kind({**headline, "recipe": "unknown"})["recipe"] == "paper"
    assert both.kind({**headline, "mode": "paper"}) is None
    again = make_run(tmp_path / "again", recipes=("sound",), seed=2)
    record(again, "oas1", into)
    renewed = both.table("table1")
    assert len(renewed) == len(table)
    assert not choose(renewed, recipe="sound")["mae"].equals(choose(table, recipe="sound")["mae"])


def test_another_cohort_is_refused_and_nothing_changes(run, copied, tmp_path):
    into = tmp_path / "recorded"
    record(run, "oas1", into)
    before = {path.name: path.read_bytes() for path in (into / "oas1").iterdir()}
    manifest = data.read_cohort(copied)
    manifest.loc[0, "age"] += 0.5
    write_table(manifest, copied.path("manifest.csv"), MANIFEST)
    with pytest.raises(WrongUsage, match=r"another cohort \(scans or ages differ\)"):
        record(copied, "oas1", into)
    assert {path.name: path.read_bytes() for path in (into / "oas1").iterdir()} == before
    assert [path.name for path in into.iterdir()] == ["oas1"]


def test_simulated_scans_are_refused(copied, tmp_path):
    write_json(copied.path("cohort.json"), {"simulated": True, "folder": None})
    with pytest.raises(WrongUsage, match="simulated"):
        record(copied, "oas1", tmp_path / "recorded")
    assert not (tmp_path / "recorded").exists()


@pytest.mark.parametrize("name", ["../oas1", "a/b", "", ".hidden", "none", "a b"])
def test_names_that_are_no_folder_names_are_refused(run, tmp_path, name):
    with pytest.raises(WrongUsage, match="no name of a recording"):
        record(run, name, tmp_path / "recorded")


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("cbv/ladder.csv", "cbv/ladder.csv is missing: chapter 09_does_cbv_help has not run"),
        ("cards/10_the_claims.json", "chapter 10_the_claims has not run to its end"),
    ],
)
def test_what_an_unfinished_run_lacks_is_named(copied, tmp_path, file, told):
    copied.path(file).unlink()
    with pytest.raises(BadInput) as caught:
        record(copied, "oas1", tmp_path / "recorded")
    assert told in str(caught.value)
    assert not (tmp_path / "recorded").exists()


def test_chapters_that_read_other_predictions_are_named(copied, tmp_path):
    with open(copied.path("predictions.csv"), "a") as stream:
        stream.write("\n")
    with pytest.raises(BadInput, match="07_by_age_and_study read other predictions"):
        record(copied, "oas1", tmp_path / "recorded")


def plant_in_ledger(tables):
    tables["ledger"].loc[0, "this_run"] += "; OAS1_0003, of all, errs most"


def plant_scan_in_column(tables):
    tables["quality"].loc[0, "verdict"] = "OAS1_0003_MR1"


def plant_path(tables):
    tables["ladder"].loc[0, "second"] = "(scans/OAS1_0003_MR1.nii.gz)"


def plant_small_group(tables):
    table = tables["table2"]
    row = table.index[table["hidden"] & (table["mode"] == "sound")][0]
    table.loc[row, ["n_scans", "n_participants", "mae", "hidden"]] = [3, 3, 5.0, False]


def plant_number_in_hidden_row(tables):
    table = tables["table2"]
    table.loc[table.index[table["hidden"]][0], "mae"] = 5.0


def plant_recoverable_group(tables):
    """The partner that was hidden for another group's sake is shown."""
    table = tables["error_quantiles"]
    rows = table["hidden"] & (table["decade"] == "90–100")
    table.loc[rows, ["n_scans", "n_participants"]] = [7, 7]
    table.loc[rows, "hidden"] = False


def plant_tail(tables):
    table = tables["error_quantiles"]
    table.loc[table["n_participants"] == 14, "q95"] = 11.0


def plant_cell(tables):
    table = tables["age_density"]
    rows = table[(table["mode"] == "sound") & table["n_scans"].isna()]
    table.loc[rows.index[0], "n_scans"] = 2


@pytest.fixture(scope="module")
def finished(run):
    return Finished(run)


@pytest.mark.parametrize(
    ("name", "plant", "told"),
    [
        ("ledger", plant_in_ledger, "ledger.csv: names a scan"),
        ("quality", plant_scan_in_column, "quality.csv: names a scan"),
        ("ladder", plant_path, "ladder.csv: names a scan"),
        ("table2", plant_small_group, "table2.csv: a group of fewer than 5"),
        ("table2", plant_number_in_hidden_row, "table2.csv: a hidden row has numbers"),
        ("error_quantiles", plant_recoverable_group, "hidden by decade is of fewer than 5"),
        ("error_quantiles", plant_tail, "of fewer than 20"),
        ("age_density", plant_cell, "age_density.csv: a cell of fewer than 5"),
    ],
)
def test_what_gives_somebody_away_is_found(finished, recording, tmp_path, name, plant, told):
    copy = shutil.copytree(recording, tmp_path / "oas1")
    tables = {name: read(copy, name)}
    check(copy, finished)
    plant(tables)
    write_table(tables[name], copy / f"{name}.csv", RECORDED[name])
    with pytest.raises(BadInput) as caught:
        check(copy, finished)
    assert told in str(caught.value)
    assert "OAS1_0003" not in str(caught.value)


def test_small_cells_that_follow_from_their_neighbours_are_found(finished, recording, tmp_path):
    copy = shutil.copytree(recording, tmp_path / "oas1")
    table = read(copy, "age_density")
    rows = finished.stacked.rows
    rows = choose(rows[rows["role"] == "test"], mode="sound", model="TA")
    true = pd.crosstab(decade(rows["age"]), decade(rows["stacked_age"]))
    # Every cell of five or more is shown, as if those of fewer had no totals.
    for place, cell in table[(table["mode"] == "sound") & (table["model"] == "TA")].iterrows():
        n = true.loc[cell["decade"], cell["predicted_decade"]]
        table.loc[place, "n_scans"] = n if n >= 5 else pd.NA
    write_table(table, copy / "age_density.csv", RECORDED["age_density"])
    with pytest.raises(BadInput, match=r"age_density\.csv: TA, "):
        check(copy, finished)


def test_nothing_is_written_if_something_is_found(run, tmp_path, monkeypatch):
    from brainage_lib.report import recorded

    collect = recorded.collect

    def planted(finished):
        tables = collect(finished)
        plant_in_ledger(tables)
        return tables

    monkeypatch.setattr(recorded, "collect", planted)
    with pytest.raises(BadInput, match="names a scan"):
        record(run, "oas1", tmp_path / "recorded")
    assert list((tmp_path / "recorded").iterdir()) == []


def test_maps_of_few_people_are_refused(run, tmp_path, monkeypatch):
    from brainage_lib.report import recorded

    monkeypatch.setattr(recorded, "shown_decades", lambda rows: ["20–30", "70–80"])
    with pytest.raises(BadInput, match="a map of fewer than 10 participants"):
        record(run, "oas1", tmp_path / "recorded")


def test_a_recording_that_is_too_large_is_refused(run, tmp_path, monkeypatch):
    from brainage_lib.report import recorded_check

    monkeypatch.setattr(recorded_check, "MOST_BYTES", 1000)
    with pytest.raises(BadInput, match="MB are more than"):
        record(run, "oas1", tmp_path / "recorded")


def test_recordings_of_the_project_are_sound(root):
    folders = sorted(path.parent for path in (root / "book" / "recorded").glob("*/card.json"))
    if not folders:
        pytest.skip("no run is recorded")
    for folder in folders:
        assert faults(folder) == [], folder.name
        assert json.loads((folder / "card.json").read_text())["name"] == folder.name
        for name, schema in RECORDED.items():
            # Recordings from before there were statements stay as they are.
            if name != "statements" or (folder / "statements.csv").is_file():
                read_table(folder / f"{name}.csv", schema)


def test_a_file_that_does_not_belong_there_is_told(recording, tmp_path):
    copy = shutil.copytree(recording, tmp_path / "oas1")
    (copy / "predictions.csv").write_text("scan_id,predicted_age\na,1\n")
    (copy / "notes.txt").write_text("")
    assert faults(recording) == []
    assert faults(copy) == [
        "notes.txt: not a file of a recording",
        "predictions.csv: a column scan_id",
        "predictions.csv: not a table of a recording",
    ]
