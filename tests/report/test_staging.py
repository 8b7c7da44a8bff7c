"""The staged sources of a book."""

from __future__ import annotations

import json
import shutil

import nbformat
import pytest
import yaml

from brainage_lib.report.book import NIIVUE, PagesFailed, clean, stage
from brainage_lib.run import Run, start_run

NAME = "01_data_curation"


@pytest.fixture
def checkout(root, tmp_path):
    """A checkout with one chapter and the project's own settings."""
    folder = tmp_path / "checkout"
    for name in ("book/_static", "book/_ext"):
        shutil.copytree(root / name, folder / name)
    for name in ("book/intro.md", "_config.yml", "CITATION.cff", "CHANGELOG.md"):
        shutil.copy(root / name, folder / name)
    parts = [{"caption": "A", "chapters": [{"file": f"notebooks/{NAME}"}]}]
    contents = {"format": "jb-book", "root": "book/intro", "parts": parts}
    (folder / "book" / "_toc.yml").write_text(yaml.safe_dump(contents))
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / f"{NAME}.py").write_text("# %%\n1\n")
    fonts = folder / "book/node_modules/mathjax/es5/output/chtml/fonts/woff-v2"
    fonts.mkdir(parents=True)
    (fonts / "a.woff").write_text("")
    (folder / "book/node_modules/mathjax/es5/tex-mml-chtml.js").write_text("")
    niivue = folder / "book/node_modules" / NIIVUE
    niivue.parent.mkdir(parents=True)
    niivue.write_text("")
    return folder


@pytest.fixture
def run(root, tmp_path):
    """A run whose only chapter was executed."""
    folder = tmp_path / "runs" / "tiny"
    made = start_run(folder, root / "workflow" / "profiles" / "demo.yml")
    (folder / "manifest.csv").write_text(
        "scan_id,participant_id,project,session,age,sex,diagnosis,path,t1w_state\n"
        "a,a,OAS1,1,30.5,F,control,a.nii.gz,mni152-brain\n"
    )
    (folder / "cohort.json").write_text('{"simulated": false}')
    card = {
        "started": "2026-01-31T09:05:59+00:00", "seconds": 1.0, "peak_memory_mb": 1,
        "device": "CPU", "commit": "abc", "machine": "m", "profile": "demo", "seed": 1,
        "python": "3.11", "versions": {},
    }  # fmt: skip
    (folder / "card.json").write_text(json.dumps({"chapters": {NAME: card}}))
    (folder / "notebooks").mkdir()
    nbformat.write(executed(), folder / "notebooks" / f"{NAME}.ipynb")
    return made


def executed():
    """A notebook as papermill leaves it."""
    new = nbformat.v4.new_code_cell
    cells = [
        new('run = "demo"', metadata={"tags": ["parameters"]}),
        new('run = "other"', metadata={"tags": ["injected-parameters"]}),
        new("1"),
    ]
    path = "/home/someone/checkout/notebooks/x.ipynb"
    metadata = {"papermill": {"input_path": path, "output_path": path, "duration": 1}}
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def test_the_staged_folder_has_the_layout_of_the_checkout(checkout, run):
    source = stage(checkout, run, pdf=False)
    assert source == run.path("book", "source")
    for name in (
        "_config.yml", "CHANGELOG.md", "book/_toc.yml", "book/intro.md", "book/generated/status.md",
        "book/generated/citation.md", "book/_static/plotly.min.js", "book/_static/book.css",
        "book/_static/mathjax/tex-mml-chtml.js", "book/_static/niivue.umd.js",
        f"notebooks/{NAME}.ipynb", f"notebooks/{NAME}.py",
    ):  # fmt: skip
        assert (source / name).is_file(), name
    assert not (source / "book" / "node_modules").exists()


def test_the_banner_is_that_of_the_runs_cohort(checkout, run):
    settings = yaml.safe_load((stage(checkout, run, pdf=False) / "_config.yml").read_text())
    assert settings["html"]["announcement"].startswith("Real scans of OAS1.")
    run.path("cohort.json").write_text('{"simulated": true}')
    settings = yaml.safe_load(
        (stage(checkout, Run(run.folder), pdf=False) / "_config.yml").read_text()
    )
    assert settings["html"]["announcement"].startswith("Simulated scans:")


def test_the_first_page_links_to_the_pdf_only_where_one_is_made(checkout, run):
    link = run.path("book", "source", "book", "generated", "pdf.md")
    stage(checkout, run, pdf=False)
    assert "brain-age.pdf" not in link.read_text()
    stage(checkout, run, pdf=True)
    assert "brain-age.pdf" in link.read_text()


def test_readers_see_the_parameters_that_ran_and_no_path_of_the_machine():
    notebook = json.loads(nbformat.writes(executed()))
    clean(notebook)
    declared, injected, other = (cell["metadata"].get("tags", []) for cell in notebook["cells"])
    assert declared == ["parameters", "remove-cell"]
    assert injected == ["injected-parameters"]
    assert other == []
    assert "/home/someone" not in json.dumps(notebook)
    assert notebook["metadata"]["papermill"] == {"duration": 1}


def test_declared_parameters_stay_when_none_were_injected():
    notebook = json.loads(nbformat.writes(executed()))
    del notebook["cells"][1]
    clean(notebook)
    assert notebook["cells"][0]["metadata"]["tags"] == ["parameters"]


def test_a_chapter_that_was_not_executed_is_named_with_the_remedy(checkout, run):
    run.path("notebooks", f"{NAME}.ipynb").unlink()
    with pytest.raises(PagesFailed, match=rf"{NAME}.*cards"):
        stage(checkout, run, pdf=False)


def test_missing_scripts_are_named_with_the_remedy(checkout, run):
    shutil.rmtree(checkout / "book" / "node_modules")
    with pytest.raises(PagesFailed, match="npm ci --prefix book"):
        stage(checkout, run, pdf=False)
