"""Merging manifests: paths hold, names stay unique, people who are one stay one."""

from __future__ import annotations

import pandas as pd
import pytest

from brainage_lib.data.cohort import read_alias_file
from brainage_lib.data.merge import merge_manifests
from brainage_lib.errors import BadInput, WrongUsage
from brainage_lib.tables import read_manifest


def manifest(folder, project, people, **free):
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for person in people:
        (folder / "scans").mkdir(exist_ok=True)
        (folder / "scans" / f"{person}.nii.gz").write_bytes(b"x")
        rows.append(
            {
                "scan_id": f"{person}_1",
                "participant_id": person,
                "project": project,
                "session": "1",
                "age": 33.25,
                "sex": "F",
                "diagnosis": "control",
                "path": f"scans/{person}.nii.gz",
                "t1w_state": "native-head",
                **free,
            }
        )
    path = folder / "manifest.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def test_paths_lead_to_the_same_files_and_free_columns_are_kept(tmp_path):
    first = manifest(tmp_path / "a", "IXI", ["IXI001"], x_site="Guys")
    second = manifest(tmp_path / "deep" / "b", "OAS1", ["OAS1_0001"], x_cdr="0")
    merged = merge_manifests([first, second], tmp_path / "all.csv")
    rows = read_manifest(tmp_path / "all.csv")
    assert rows["path"].tolist() == ["a/scans/IXI001.nii.gz", "deep/b/scans/OAS1_0001.nii.gz"]
    assert rows["x_site"].fillna("").tolist() == ["Guys", ""]
    assert {"x_site", "x_cdr"} <= set(rows)
    assert not (tmp_path / "aliases.csv").exists()
    assert merged.aliases.empty


def test_simulated_rows_keep_their_paths(root, tmp_path):
    first = manifest(tmp_path / "a", "IXI", ["IXI001"])
    merged = merge_manifests([root / "data_manifest.csv", first], tmp_path / "all.csv")
    assert merged.rows["path"].iloc[0].startswith("sim:")
    assert merged.rows["path"].iloc[-1] == "a/scans/IXI001.nii.gz"


def test_duplicate_scans_clashing_people_and_paths_outside_are_all_named(tmp_path):
    first = manifest(tmp_path / "a", "ADNI", ["7", "8"])
    second = manifest(tmp_path / "b", "AIBL", ["7"])
    third = manifest(tmp_path / "b" / "c", "ADNI", ["9"])
    with pytest.raises(BadInput) as caught:
        merge_manifests([first, second, third], tmp_path / "b" / "all.csv")
    said = "\n".join(caught.value.findings)
    assert said.count("scan_id: '7_1' stands already in") == 1
    assert said.count("participant_id: '7' is of AIBL here and of ADNI in") == 1
    assert said.count("lies outside") == 2
    assert not (tmp_path / "b" / "all.csv").exists()


def test_alias_tables_are_merged_each_pair_once(tmp_path):
    first = manifest(tmp_path / "a", "CoRR", ["CoRR_0025629", "CoRR_0000001"])
    second = manifest(tmp_path / "b", "SLIM", ["SLIM_25629", "SLIM_25630"])
    for folder, more in ((tmp_path / "a", ""), (tmp_path / "b", "x,y\n")):
        (folder / "aliases.csv").write_text(f"participant_id,same_as\nu,v\n{more}")
    merge_manifests([first, second], tmp_path / "all.csv")
    pairs = read_alias_file(tmp_path / "aliases.csv")
    assert pairs.to_numpy().tolist() == [["u", "v"], ["x", "y"]]


def test_likely_pairs_of_corr_and_slim_are_joined_only_if_asked(tmp_path):
    first = manifest(tmp_path / "a", "CoRR", ["CoRR_0025629", "CoRR_0000001"])
    second = manifest(tmp_path / "b", "SLIM", ["SLIM_25629", "SLIM_25630"])
    merged = merge_manifests([first, second], tmp_path / "all.csv")
    assert merged.likely.to_numpy().tolist() == [["CoRR_0025629", "SLIM_25629"]]
    assert merged.aliases.empty
    merged = merge_manifests([first, second], tmp_path / "all.csv", likely_aliases=True)
    assert read_alias_file(tmp_path / "aliases.csv").equals(merged.likely)


def test_one_manifest_is_not_merged(tmp_path):
    with pytest.raises(WrongUsage, match="at least two"):
        merge_manifests([manifest(tmp_path, "IXI", ["a"])], tmp_path / "all.csv")
