"""The prose pages say what the code and its data say."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from brainage_lib.errors import UserError
from brainage_lib.run import load_profile
from brainage_lib.run.profile import Profile
from brainage_lib.tables import PREDICTIONS, read_manifest

PAGES = (
    "paper",
    "reading",
    "own_scans",
    "own_cohort",
    "studies",
    "simulated",
    "aicbv",
    "limits",
    "references",
)


@pytest.fixture
def page(root):
    """Text of a page by its name."""
    return lambda name: (root / "book" / f"{name}.md").read_text(encoding="utf-8")


def table_after(text: str, heading: str) -> list[list[str]]:
    """Rows of the first table after a heading, without its head."""
    lines = text.split(f"{heading}\n", 1)[1].splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows[2:]


def as_number(text: str) -> float:
    return float(text.replace("−", "-").replace("+", "").replace(",", ""))


@pytest.mark.parametrize("name", PAGES)
def test_links_to_pages_and_chapters_lead_somewhere(page, root, name):
    chapters = (root / "workflow/chapters.py").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", page(name)):
        if target.startswith("../notebooks/"):
            assert f'"{Path(target).stem}": Chapter(' in chapters, f"{name}.md links to {target}"
        else:
            assert (root / "book" / target).is_file(), f"{name}.md links to {target}"


@pytest.mark.parametrize("name", PAGES)
def test_cited_works_are_in_the_bibliography(page, root, name):
    known = re.findall(r"^@\w+\{(\w+),", (root / "book/references.bib").read_text(), re.M)
    for keys in re.findall(r"\{cite(?::\w)?\}`([^`]+)`", page(name)):
        assert set(keys.split(",")) <= set(known)


def test_the_paper_page_prints_the_papers_tables(page):
    from brainage_lib.stats.paper import paper_table1, paper_table2, paper_table3

    text = page("paper")
    for heading, printed, group in (
        ("### Table 2: MAE in years, by age", paper_table2(), "age_group"),
        ("### Table 3: MAE in years, by study", paper_table3(), "project"),
    ):
        wide = printed.pivot(index=group, columns="model", values="mae")
        rows = table_after(text, heading)
        assert [row[0] for row in rows] == list(printed[group].unique())
        for name, *values in rows:
            expected = wide.loc[name, ["T", "A", "TA", "TAS"]]
            assert list(map(float, values)) == pytest.approx(list(expected))
    table1 = paper_table1().set_index("model")
    for model, mae, mse, r2, _ in table_after(text, "### Table 1: test set, 288 scans"):
        values = [float(mae), float(mse), float(r2)]
        assert values == pytest.approx(list(table1.loc[model, ["mae", "mse", "r2"]]))


def test_the_errors_quoted_for_a_bad_manifest_are_the_true_ones(page, tmp_path, monkeypatch):
    blocks = re.findall(r"```text\n(.*?)```", page("own_cohort"), re.S)
    bad = next(block for block in blocks if block.count("\n") == 5)
    message = next(block for block in blocks if block.startswith("bad.csv:"))
    monkeypatch.chdir(tmp_path)
    Path("scans").mkdir()
    Path("scans/a.nii.gz").touch()
    Path("bad.csv").write_text(bad, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_manifest("bad.csv")
    assert str(caught.value) == message.strip()


def test_the_example_manifest_is_a_good_one(page, tmp_path):
    text = re.search(r"```text\n(scan_id,.*?)```", page("own_cohort"), re.S)[1]
    (tmp_path / "scans").mkdir()
    for name in re.findall(r"scans/\S+?\.nii\.gz", text):
        (tmp_path / name).touch()
    (tmp_path / "manifest.csv").write_text(text, encoding="utf-8")
    assert len(read_manifest(tmp_path / "manifest.csv")) == 3


def test_reasons_quoted_for_images_are_the_true_ones(page):
    from brainage_lib.imaging import extraction, native
    from brainage_lib.imaging.opening import DEFECTS

    quoted = {
        reason
        for row in table_after(page("own_cohort"), "## What is put aside")
        for reason in row[0].split("; ")
    }
    # A missing file stops the book already with the manifest.
    opening = {d.reason for key, d in DEFECTS.items() if key != "missing"}
    later = {"no brain found in the head", "registration failed"}
    assert quoted == opening | later
    sources = inspect.getsource(extraction) + inspect.getsource(native)
    assert all(reason in sources for reason in later)


def test_every_setting_is_listed_with_the_demos_value(page, root):
    rows = {}
    text = page("own_cohort")
    for heading in ("## Settings", "Four settings are groups of their own:"):
        for names, _, value in table_after(text, heading):
            first, *others = re.findall(r"`([\w.]+)`", names)
            group = first.split(".")[0]
            for name in (first, *(f"{group}{other}" for other in others)):
                rows[name] = value.strip("`")
    listed = {name.split(".")[0] for name in rows}
    assert listed == set(Profile.model_fields) - {"name"}
    profile = load_profile(root / "workflow/profiles/demo.yml")
    for group in ("generator", "quality", "attribution"):
        fields = set(type(getattr(profile, group)).model_fields)
        assert {n.split(".")[1] for n in rows if n.startswith(f"{group}.")} == fields
    for name in ("grid_mm", "folds", "epochs", "patience", "batch", "learning_rate", "bootstrap",
                 "seed", "workers"):  # fmt: skip
        assert as_number(rows[name]) == getattr(profile, name), name
    for name in ("patch", "overlap", "people"):
        assert as_number(rows[f"generator.{name}"]) == getattr(profile.generator, name)
    training = [as_number(part) for part in rows["generator.steps"].split(", ")]
    made = profile.generator
    assert training == [made.steps, made.batch, made.learning_rate]
    for name in ("template_correlation", "template_correlation_look", "edge_fraction"):
        assert as_number(rows[f"quality.{name}"]) == getattr(profile.quality, name)


def test_columns_of_predictions_are_all_listed(page):
    rows = table_after(page("own_cohort"), "## Only the tables, from your own predictions")
    listed = re.findall(r"`(\w+)`", " ".join(row[0] for row in rows))
    assert sorted(listed) == sorted(PREDICTIONS.columns)


def test_the_simulators_page_prints_its_numbers(page):
    from brainage_lib.simulate.sources import table

    text = page("simulated")
    ageing = table("ageing")
    columns = ["share_of_tiv_at_20", "rate_20_50", "rate_50_70", "rate_70_90", "sd_log"]
    rows = table_after(text, "### Ageing curves")
    assert len(rows) == len(ageing)
    for row, (_, expected) in zip(rows, ageing.iterrows(), strict=True):
        assert list(map(as_number, row[1:])) == pytest.approx(list(expected[columns]))
    physics = table("physics")
    columns = ["t1_15_ms", "t1_30_ms", "pd", "t2s_15_ms", "t2s_30_ms"]
    rows = table_after(text, "## Numbers and their sources")
    assert len(rows) == len(physics)
    for row, (_, expected) in zip(rows, physics.iterrows(), strict=True):
        assert list(map(as_number, row[1:])) == pytest.approx(list(expected[columns]))


def test_the_layers_of_the_generator_add_up(page):
    rows = table_after(page("aicbv"), "twice, plus a 1³ convolution as shortcut. U is "
                       "nearest-neighbour × 2, convolution, group norm, ReLU.")  # fmt: skip
    *layers, whole = rows
    for column in (2, 3):
        parts = [int(row[column].replace(",", "")) for row in layers]
        assert sum(parts) == int(whole[column].strip("*").replace(",", ""))


def test_every_column_and_exit_code_of_predict_is_explained(page):
    from brainage_lib.cli.predict import PARTLY, REFUSED
    from brainage_lib.tables import BATCH

    text = page("own_scans")
    names = " ".join(row[0] for row in table_after(text, "## Which column is the answer?"))
    assert set(re.findall(r"`(\w+)`", names)) == set(BATCH.columns) - {"scan_id"}
    codes = {int(row[0]) for row in table_after(text, "## Exit codes")}
    assert codes == {0, 1, 2, 3, REFUSED, PARTLY}
    states = [row[0].strip("`") for row in table_after(text, "## What the image may be")]
    assert states == ["native-head", "native-brain", "mni152-brain"]


def test_the_example_table_of_scans_is_a_good_one(page, tmp_path):
    from brainage_lib.predict.scans import manifest_jobs

    text = re.search(r"```text\n(scan_id,.*?)```", page("own_scans"), re.S)[1]
    (tmp_path / "scans").mkdir()
    for name in re.findall(r"scans/\S+?\.nii\.gz", text):
        (tmp_path / name).touch()
    (tmp_path / "m.csv").write_text(text, encoding="utf-8")
    jobs, aside = manifest_jobs(tmp_path / "m.csv")
    assert aside == {}
    assert [job.scan["age"] for job in jobs] == [34.2, None]
