"""``brainage manifest build`` and ``merge`` as a user meets them."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from brainage_lib.cli import app
from brainage_lib.errors import UserError
from brainage_lib.tables import read_manifest


def brainage(*arguments):
    """Output of the command; errors meant for the user are raised."""
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def sald(tmp_path):
    place = tmp_path / "sald"
    place.mkdir()
    (place / "sub_information.csv").write_text(
        "Sub_ID,Sex,Age,T1Img\n31274,F,22,1\n31275,M ,60,1\n31276,M,,1\n"
    )
    for number in (31274, 31275, 31276):
        (place / f"sub-0{number}_T1w.nii.gz").write_bytes(b"x")
    return place


def arguments(sald, out):
    return ("--table", sald / "sub_information.csv", "--images", sald, "--out", out)


def test_build_says_what_it_made_and_what_it_left_out(sald):
    out = sald.parent / "m.csv"
    said = brainage("manifest", "build", "--study", "SALD", *arguments(sald, out))
    assert "1 left out: no age at the scan; ask the study for it" in said
    assert f"{out}: 2 scans of 2 participants (0 of them patients), ages 22.0–60.0" in said
    assert (sald.parent / "m.left_out.csv").is_file()
    assert len(read_manifest(out)) == 2


def test_built_manifests_can_be_merged(sald, tmp_path):
    first = tmp_path / "sald.csv"
    brainage("manifest", "build", "--study", "sald", *arguments(sald, first))
    second = tmp_path / "bids.csv"
    (sald / "participants.tsv").write_text("participant_id\tage\tsex\nsub-031274\t22\tF\n")
    scan = sald / "sub-031274/anat/sub-031274_T1w.nii.gz"
    scan.parent.mkdir(parents=True)
    scan.write_bytes(b"x")
    brainage("manifest", "build", "--study", "bids", "--images", sald, "--out", second,
             "--project", "MINE", "--diagnosis", "control")  # fmt: skip
    said = brainage("manifest", "merge", first, second, "--out", tmp_path / "all.csv")
    assert "3 scans of 3 participants in 2 projects" in said


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--study", "bids"], "--table has no place with --study bids"),
        (["--study", "sald", "--project", "X"], "--project goes with --study bids only"),
        (["--study", "sald", "--t1w-state", "raw"], "use one of native-head, native-brain"),
        (["--study", "sald", "--t1w-state", "native-brain"], "goes with --layout only"),
        (["--study", "ix"], r"no study 'ix'; did you mean ixi\?"),
    ],
)
def test_options_without_effect_are_refused(sald, more, message):
    with pytest.raises(UserError, match=message) as caught:
        brainage("manifest", "build", *more, *arguments(sald, sald.parent / "m.csv"))
    assert caught.value.exit_code == 2
