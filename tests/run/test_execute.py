"""Headless execution: what fails says so, and nothing outlives its command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import jupytext
import nbformat
import psutil
import pytest

from brainage_lib.errors import WrongUsage
from brainage_lib.run.execute import ChapterFailed, Relay, execute

HEAD = """# ---
# jupyter:
#   kernelspec:
#     display_name: Brain Age
#     language: python
#     name: brainage
# ---

# %% tags=["parameters"]
run = "demo"
folder = ""

"""


@pytest.fixture
def notebook(tmp_path):
    """Write a notebook with the parameters ``run`` and ``folder`` and some cells."""

    def write(*cells: str):
        text = HEAD + "\n".join(f"# %%\n{cell}\n" for cell in cells)
        jupytext.write(jupytext.reads(text, fmt="py:percent"), tmp_path / "chapter.ipynb")
        return tmp_path / "chapter.ipynb"

    return write


def test_the_executed_notebook_has_the_given_parameters_and_promised_files_get_the_present_time(
    notebook, tmp_path, capfd
):
    table = tmp_path / "table.csv"
    table.write_text("a\n1\n")
    os.utime(table, (1e9, 1e9))
    before = time.time()
    path = notebook("print('run is', run)\nimport os\nprint(os.getcwd() == folder)")
    execute(
        path, tmp_path / "out" / "chapter.ipynb", {"run": "r", "folder": str(tmp_path)}, [table]
    )
    done = nbformat.read(tmp_path / "out" / "chapter.ipynb", 4)
    assert done.cells[-1].outputs[0].text == "run is r\nTrue\n"
    assert table.stat().st_mtime >= before - 1
    assert table.read_text() == "a\n1\n"
    # The terminal saw it too, while it ran.
    assert "chapter | run is r" in capfd.readouterr().err
    # The source stays without outputs.
    assert not any(cell.get("outputs") for cell in nbformat.read(path, 4).cells)


def test_a_parameter_that_the_notebook_does_not_declare_stops_it_before_it_runs(notebook, tmp_path):
    path = notebook(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(
        WrongUsage, match="unknown parameter rnu; the notebook declares folder, run"
    ):
        execute(path, tmp_path / "out.ipynb", {"rnu": "demo"})
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "out.ipynb").exists()


def test_a_failing_cell_is_shown_with_its_traceback_and_the_notebook_is_kept(notebook, tmp_path):
    path = notebook("before = 'kept'\nbefore", "def half(x):\n    return x / 0\nhalf(3)", "'after'")
    with pytest.raises(ChapterFailed) as caught:
        execute(path, tmp_path / "out.ipynb", {"run": "r"})
    lines = str(caught.value).splitlines()
    assert lines[0] == "chapter failed in cell In [4]:"
    assert "    half(3)" in lines
    assert lines[-2].endswith("ZeroDivisionError: division by zero")
    assert lines[-1] == f"  Half-run notebook: {tmp_path / 'out.ipynb'}"
    assert "\x1b" not in str(caught.value)
    text = nbformat.writes(nbformat.read(tmp_path / "out.ipynb", 4))
    assert "'kept'" in text
    assert "ZeroDivisionError" in text


def test_a_promised_table_that_is_missing_fails(notebook, tmp_path):
    with pytest.raises(ChapterFailed, match=r"ended without writing .*none\.csv"):
        execute(notebook("1"), tmp_path / "out.ipynb", {}, [tmp_path / "none.csv"])


@pytest.mark.slow
def test_a_kernel_that_dies_is_a_failure(notebook, tmp_path):
    path = notebook("import os\nos._exit(9)")
    with pytest.raises(ChapterFailed, match="kernel died"):
        execute(path, tmp_path / "out.ipynb", {})


def test_the_command_puts_what_went_wrong_into_the_failure_file(notebook, tmp_path):
    command = [
        sys.executable, "-m", "brainage_lib.run.execute", notebook("1"), tmp_path / "out.ipynb",
        "-p", "wrong", "1", "--failure", tmp_path / "failure.txt",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == WrongUsage.exit_code
    assert "unknown parameter wrong" in (tmp_path / "failure.txt").read_text()


def test_progress_bars_become_lines(capsys):
    relay = Relay("05")
    relay.write("\r 0%|  |\r50%|::|")
    relay.write("\n")
    assert capsys.readouterr().err == "05 |  0%|  |\n05 | 50%|::|\n"


WORKERS = """
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
import os, time
from brainage_lib.run.processes import stop_with_parent
pool = ProcessPoolExecutor(2, initializer=stop_with_parent)
list(pool.map(abs, range(4)))
pids = [os.getpid(), os.getppid(), *pool._processes]
Path(folder, "pids").write_text(" ".join(map(str, pids)))
time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["terminated", "killed", "orphaned"])
def test_no_kernel_and_no_worker_outlives_its_command(notebook, tmp_path, how):
    path = notebook(WORKERS)
    command = [
        sys.executable, "-m", "brainage_lib.run.execute", str(path), str(tmp_path / "out.ipynb"),
        "-p", "folder", str(tmp_path),
    ]  # fmt: skip
    # A parent of its own, which can be killed as Snakemake may be.
    middle = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
    parent = subprocess.Popen(
        [sys.executable, "-c", middle, *command], stderr=subprocess.DEVNULL, start_new_session=True
    )
    pids = tmp_path / "pids"
    _wait(lambda: pids.is_file() and pids.read_text(), 60)
    everyone = [psutil.Process(int(pid)) for pid in set(pids.read_text().split())]
    executor = psutil.Process(parent.pid).children()[0]
    assert executor in everyone
    assert len(everyone) >= 4
    if how == "terminated":
        executor.terminate()
    elif how == "killed":
        executor.kill()
    else:
        os.kill(parent.pid, signal.SIGKILL)
    _wait(lambda: not any(_alive(process) for process in everyone), 15)
    parent.wait(10)


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _wait(condition, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
