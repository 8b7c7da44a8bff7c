"""Stage a run as a Jupyter Book and build it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from brainage_lib.errors import UserError
from brainage_lib.files import read_json, write_text
from brainage_lib.predict.model import SHIPPED
from brainage_lib.report.accuracy import accuracy_page, model_card
from brainage_lib.report.cbv_pages import (
    real_scans,
    shipped_cards,
    signal_table,
    trained_ladder,
)
from brainage_lib.report.gpu_tables import gpu_page
from brainage_lib.report.pages import announcement, citation, recorded_status, status
from brainage_lib.report.pdf import print_pdf
from brainage_lib.run import Run, plan_networks, plan_shuffled
from brainage_lib.run.execute import ANSI
from brainage_lib.tables import MANIFEST, Recorded, read_table

PDF = "brain-age.pdf"
MATHJAX = ("tex-mml-chtml.js", "output/chtml/fonts/woff-v2")
NIIVUE = Path("@niivue", "niivue", "dist", "niivue.umd.js")


class PagesFailed(UserError):
    """The pages could not be built."""

    exit_code = 1


def stage(root: Path, run: Run, pdf: bool) -> Path:
    """Lay out the sources of a run's book in ``<run>/book/source``.

    Parameters
    ----------
    root : Path
        The checkout: prose, settings, paired scripts.
    run : Run
        A finished run: executed notebooks and cards.
    pdf : bool
        Whether a PDF will be made, so that the pages link to it.

    Returns
    -------
    Path
        The folder, with the checkout's layout.

    Raises
    ------
    PagesFailed
        A chapter of the contents was not executed, or MathJax or niivue was not fetched.
    """
    source = run.path("book", "source")
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(
        root / "book",
        source / "book",
        ignore=shutil.ignore_patterns("node_modules", "__pycache__", ".ipynb_checkpoints"),
    )
    shutil.copy(root / "CHANGELOG.md", source)
    _stage_notebooks(root, run, source)
    _stage_scripts(root, source / "book" / "_static")
    _stage_volumes(run, source / "book" / "_static" / "viewer")
    manifest = read_table(run.path("manifest.csv"), MANIFEST)
    settings = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    settings["html"]["announcement"] = announcement(run.simulated, manifest["project"])
    write_text(source / "_config.yml", yaml.safe_dump(settings, sort_keys=False))
    facts = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    recorded = Recorded(run.path("recorded"))
    generated = {
        "status": status(read_json(run.path("card.json"))["chapters"], _durations(run)),
        "recorded": recorded_status(recorded.card if recorded else None),
        "citation": citation(facts),
        "accuracy": accuracy_page(root / "book" / "recorded" / "accuracy"),
        "gpu": gpu_page(root / "book" / "recorded" / "gpu"),
        "shipped_networks": model_card(SHIPPED),
        "t1w_signal": signal_table(),
        "shipped": shipped_cards(),
        "ladder": trained_ladder(root / "book" / "recorded" / "ladder"),
        "aicbv_real": real_scans(root / "book" / "recorded" / "aicbv"),
        # A raw link: the file is not among the sources, Sphinx would look for it in vain.
        "pdf": f'<a href="../{PDF}">The whole book as one PDF</a>\n' if pdf else "\n",
    }
    for name, text in generated.items():
        write_text(source / "book" / "generated" / f"{name}.md", text)
    return source


def _durations(run: Run) -> dict[str, list[float]]:
    """Seconds of each epoch of the trainings that are there."""
    found = {}
    for key in (*plan_networks(run.profile), *plan_shuffled(run.profile)):
        path = run.path("networks", key.place, "durations.json")
        if path.is_file():
            found[key.place] = read_json(path)["seconds_per_epoch"]
    return found


def _stage_notebooks(root: Path, run: Run, source: Path) -> None:
    """Copy the executed chapters of the contents, each with its paired script."""
    contents = yaml.safe_load((root / "book" / "_toc.yml").read_text(encoding="utf-8"))
    (source / "notebooks").mkdir()
    for entry in (entry for part in contents["parts"] for entry in part["chapters"]):
        if not entry["file"].startswith("notebooks/"):
            continue
        name = Path(entry["file"]).name
        executed = run.path("notebooks", f"{name}.ipynb")
        if not executed.is_file():
            raise PagesFailed(
                f"{name} is in book/_toc.yml, but the run has no executed notebook; "
                f"remove {run.path('cards', f'{name}.json')} to execute it again"
            )
        notebook = read_json(executed)
        clean(notebook)
        write_text(
            source / "notebooks" / executed.name,
            json.dumps(notebook, indent=1, ensure_ascii=False) + "\n",
        )
        shutil.copy(root / "notebooks" / f"{name}.py", source / "notebooks")


def clean(notebook: dict[str, Any]) -> None:
    """Take out of an executed notebook what is no reader's business.

    Parameters
    ----------
    notebook : dict
        In nbformat 4; changed in place. Papermill's paths of this machine go. The declared
        parameters are hidden where injected ones stand below them, which is what ran.
    """
    for name in ("input_path", "output_path", "environment_variables"):
        notebook["metadata"].get("papermill", {}).pop(name, None)
    tagged = [(cell, cell["metadata"].get("tags", [])) for cell in notebook["cells"]]
    if any("injected-parameters" in tags for _, tags in tagged):
        for cell, tags in tagged:
            if "parameters" in tags:
                cell["metadata"]["tags"] = [*tags, "remove-cell"]


def _stage_scripts(root: Path, static: Path) -> None:
    """Lay MathJax, plotly.js and niivue beside the style sheet, once for all pages."""
    from plotly.offline import get_plotlyjs

    modules = root / "book" / "node_modules"
    package = modules / "mathjax" / "es5"
    for name, there in (("MathJax", package), ("niivue", modules / NIIVUE)):
        if not there.exists():
            raise PagesFailed(
                f"{name} is not there; `npm ci --prefix book` fetches it (make does so at set-up)"
            )
    for name in MATHJAX:
        target = static / "mathjax" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (package / name).is_dir():
            shutil.copytree(package / name, target)
        else:
            shutil.copy(package / name, target)
    write_text(static / "plotly.min.js", get_plotlyjs())
    shutil.copy(modules / NIIVUE, static)


def _stage_volumes(run: Run, target: Path) -> None:
    """Copy what the pages' viewers load when it is looked at."""
    target.mkdir()
    for path in sorted(run.path("viewer").glob("*.js")):
        shutil.copy(path, target)


def build(source: Path, out: Path, chromium: str | None) -> None:
    """Build the staged book; any warning of Sphinx is an error.

    Parameters
    ----------
    source : Path
        As `stage` left it.
    out : Path
        Folder for the pages. It is replaced once they are complete.
    chromium : str or None
        A browser that prints the PDF; None leaves it out.

    Raises
    ------
    PagesFailed
        With Sphinx's warnings.
    """
    work = out.parent / "work"
    # From nothing: Sphinx repeats no warning of a page that it has already read.
    shutil.rmtree(work, ignore_errors=True)
    if chromium:
        _jupyter_book(source, work, "singlehtml")
        single = work / "_build" / "singlehtml"
        # The file lies one folder below the one that its links count from.
        shutil.copy(single / "book" / "intro.html", single / "all.html")
        settings = yaml.safe_load((source / "_config.yml").read_text(encoding="utf-8"))
        banner = settings["html"]["announcement"]
        print_pdf(single / "all.html", work / PDF, chromium, banner)
    _jupyter_book(source, work, "html")
    html = work / "_build" / "html"
    if chromium:
        shutil.move(work / PDF, html / PDF)
    shutil.rmtree(out, ignore_errors=True)
    shutil.move(html, out)
    shutil.rmtree(work)


def _jupyter_book(source: Path, work: Path, builder: str) -> None:
    command = [
        sys.executable, "-c", "from jupyter_book.cli.main import main; main()",
        "build", ".", "--config", "_config.yml", "--toc", "book/_toc.yml",
        "--path-output", os.fspath(work.resolve()), "--builder", builder,
        "-W", "-n", "--keep-going", "-q",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [
            line for line in ANSI.sub("", done.stdout + done.stderr).splitlines() if line.strip()
        ]
        told = [line for line in said if "WARNING" in line or "ERROR" in line] or said[-30:]
        told = [line.replace(f"{source.resolve()}{os.sep}", "") for line in told]
        raise PagesFailed("\n".join(["The pages were not built:", *(f"  {line}" for line in told)]))
