"""A run of two tiny chapters: what is executed, what is not, and what a failure leaves."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import jupytext
import nbformat
import pytest
import yaml

pytestmark = pytest.mark.slow

HEAD = """# ---
# jupyter:
#   kernelspec:
#     display_name: Brain Age
#     language: python
#     name: brainage
# ---

# %% [markdown]
# # {name}

# %% tags=["parameters"]
run = "demo"
profile = "demo"

# %%
import time

from brainage_lib.files import write_json
from brainage_lib.run import open_chapter
from brainage_lib.tables import MANIFEST, read_manifest, write_table

chapter = open_chapter("{name}", run, profile)

# %%
{body}

# %%
chapter.card()
"""

FIRST = """manifest = read_manifest(chapter.run.profile.cohort)
write_table(manifest, chapter.run.path("manifest.csv"), MANIFEST)
write_json(chapter.run.path("cohort.json"), {"simulated": False})"""
SECOND = """chapter.run.path("quality.csv").write_text("scan_id\\n")"""
NAMES = ("01_data_curation", "02_images_and_quality")
MANIFEST = """scan_id,participant_id,project,session,age,sex,diagnosis,path,t1w_state
a,a,OAS1,1,30.5,F,control,a.nii.gz,mni152-brain
"""


class Project:
    """A checkout with two chapters, and its runs."""

    def __init__(self, root, folder):
        self.root, self.folder = root, folder
        shutil.copytree(root / "workflow", folder / "workflow")
        for name in ("_static", "_ext"):
            shutil.copytree(root / "book" / name, folder / "book" / name)
        (folder / "book" / "node_modules").symlink_to(root / "book" / "node_modules")
        for name in ("_config.yml", "CITATION.cff", "CHANGELOG.md"):
            shutil.copy(root / name, folder / name)
        (folder / "book" / "intro.md").write_text("# A book\n")
        (folder / "book" / "api.md").write_text("# The library\n")
        (folder / "book" / "references.bib").write_text("")
        files = [{"file": f"notebooks/{name}"} for name in NAMES] + [{"file": "book/api"}]
        contents = {"format": "jb-book", "root": "book/intro"}
        contents["parts"] = [{"caption": "Chapters", "chapters": files}]
        (folder / "book" / "_toc.yml").write_text(yaml.safe_dump(contents))
        (folder / "a.nii.gz").write_text("")
        (folder / "manifest.csv").write_text(MANIFEST)
        (folder / "notebooks").mkdir()
        self.write(NAMES[0], FIRST)
        self.write(NAMES[1], SECOND)
        self.run = folder / "runs" / "tiny"

    def write(self, name, body):
        text = HEAD.replace("{name}", name).replace("{body}", body)
        script = self.folder / "notebooks" / f"{name}.py"
        if script.is_file() and script.read_text() == text:
            return
        script.write_text(text)
        jupytext.write(jupytext.reads(text, fmt="py:percent"), script.with_suffix(".ipynb"))

    def command(self, *rest):
        return [
            sys.executable, str(self.folder / "workflow" / "book.py"), "--profile", "demo",
            "--manifest", "manifest.csv", "--run", "tiny", *rest,
        ]  # fmt: skip

    def environment(self):
        return os.environ | {"BRAINAGE_RUNS": str(self.folder / "runs")}

    def make(self, *rest):
        """Make the book; returns exit code, standard output and error."""
        done = subprocess.run(
            self.command(*rest), cwd=self.folder, env=self.environment(),
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    def executed(self):
        """When each chapter was executed last."""
        return {
            path.stem: path.stat().st_mtime_ns for path in (self.run / "notebooks").glob("*.ipynb")
        }


QUALITY = "quality.csv"


@pytest.fixture(scope="module")
def project(root, tmp_path_factory):
    if not (root / "book" / "node_modules").is_dir():
        pytest.skip("MathJax was not fetched; `npm ci --prefix book` does it")
    made = Project(root, tmp_path_factory.mktemp("project"))
    code, out, error = made.make()
    assert code == 0, error
    assert str(made.run / "book" / "html" / "index.html") in out
    return made


@pytest.fixture(autouse=True)
def mended(project):
    """After each test, the project is as before."""
    yield
    project.write(NAMES[0], FIRST)
    project.write(NAMES[1], SECOND)
    code, _, error = project.make(QUALITY)
    assert code == 0, error


def test_the_pages_stand_and_name_the_run_and_not_its_place(project):
    page = (project.run / "book" / "html" / "notebooks" / f"{NAMES[0]}.html").read_text()
    assert re.search(r"(&quot;|\")tiny(&quot;|\")", page)
    assert str(project.folder) not in page
    assert "Real scans of OAS1." in page


def test_nothing_is_executed_again_when_nothing_changed(project):
    project.make()
    before = project.executed()
    pages = (project.run / "book" / "html" / "index.html").stat().st_mtime_ns
    code, _, error = project.make()
    assert code == 0
    assert "Nothing to be done" in error
    assert project.executed() == before
    assert (project.run / "book" / "html" / "index.html").stat().st_mtime_ns == pages


def test_a_changed_chapter_and_those_that_follow_it_are_executed_again(project):
    before = project.executed()
    project.write(NAMES[1], SECOND + "\n# a remark")
    assert project.make(QUALITY)[0] == 0
    after = project.executed()
    assert after[NAMES[0]] == before[NAMES[0]]
    assert after[NAMES[1]] > before[NAMES[1]]
    (project.folder / "manifest.csv").write_text(MANIFEST.replace("30.5", "31.5"))
    assert project.make(QUALITY)[0] == 0
    assert project.executed()[NAMES[1]] > after[NAMES[1]]
    assert "31.5" in (project.run / "manifest.csv").read_text()
    (project.folder / "manifest.csv").write_text(MANIFEST)


def test_a_recording_executes_the_chapter_that_shows_it_and_no_other(project):
    recording = project.folder / "book" / "recorded" / "oas1"
    recording.mkdir(parents=True)
    before = project.executed()
    try:
        # The second chapter shows the verdicts of a recorded run.
        for name in ("card.json", "quality.csv", "ladder.csv"):
            (recording / name).write_text(name)
        assert project.make(QUALITY)[0] == 0
        shown = project.executed()
        assert shown[NAMES[0]] == before[NAMES[0]]
        assert shown[NAMES[1]] > before[NAMES[1]]
        assert (project.run / "recorded" / "quality.csv").read_text() == "quality.csv"
        assert project.make(QUALITY)[0] == 0
        assert project.executed() == shown
        (recording / "ladder.csv").write_text("another ladder")
        assert project.make(QUALITY)[0] == 0
        assert project.executed() == shown
    finally:
        shutil.rmtree(recording.parent)
    assert project.make(QUALITY)[0] == 0
    after = project.executed()
    assert after[NAMES[0]] == before[NAMES[0]]
    assert after[NAMES[1]] > shown[NAMES[1]]
    assert not (project.run / "recorded").exists()


def test_a_missing_table_is_made_again(project):
    (project.run / QUALITY).unlink()
    assert project.make(QUALITY)[0] == 0
    assert (project.run / QUALITY).is_file()


def test_a_failing_cell_ends_the_run_in_its_last_lines_and_leaves_the_notebook(project):
    project.write(NAMES[1], SECOND + "\n1 / 0")
    code, _, error = project.make(QUALITY)
    assert code != 0
    lines = error.rstrip().splitlines()
    half = project.run / "notebooks" / f"{NAMES[1]}.ipynb"
    assert lines[-1].strip() == f"Half-run notebook: {half}"
    assert "ZeroDivisionError" in lines[-2]
    assert any(line.startswith(f"{NAMES[1]} failed in cell In [") for line in lines[-30:])
    text = nbformat.writes(nbformat.read(half, 4))
    assert "ZeroDivisionError" in text
    # The tables of the last good run are still there.
    assert (project.run / QUALITY).is_file()


def test_a_killed_run_leaves_nothing_running_and_continues(project):
    before = project.executed()
    project.write(NAMES[1], SECOND + "\ntime.sleep(300)")
    running = subprocess.Popen(
        project.command(QUALITY), cwd=project.folder, env=project.environment(),
        stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    half = project.run / "notebooks" / f"{NAMES[1]}.ipynb"
    end = time.monotonic() + 60
    while not (half.is_file() and '"status": "running"' in half.read_text()):
        assert time.monotonic() < end, "the chapter did not begin"
        time.sleep(0.2)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    project.write(NAMES[1], SECOND)
    # Taken up as soon as the orphans have noticed; none of them holds the run.
    assert project.make(QUALITY)[0] == 0
    after = project.executed()
    assert after[NAMES[0]] == before[NAMES[0]]
    assert after[NAMES[1]] > before[NAMES[1]]


def test_a_second_process_does_not_work_on_the_same_run(project):
    import fcntl

    with open(project.run / ".lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code, _, error = project.make(QUALITY)
    assert code == 2
    assert "another process works on" in error


def test_bad_input_is_told_before_anything_is_done(project):
    before = project.executed()
    (project.folder / "manifest.csv").write_text(MANIFEST.replace("30.5", "130"))
    try:
        code, _, error = project.make(QUALITY)
    finally:
        (project.folder / "manifest.csv").write_text(MANIFEST)
    assert code == 3
    assert error.splitlines()[1].strip().startswith("line 2, age:")
    assert "Traceback" not in error
    assert project.executed() == before
