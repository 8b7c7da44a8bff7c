"""A chapter opened in JupyterLab, as `make lab` does: Restart Kernel and Run All Cells.

Two quick chapters, unless ``BRAINAGE_LAB=all`` asks for all of them.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest

pytestmark = [pytest.mark.book, pytest.mark.slow, pytest.mark.timeout(1200)]

NOTEBOOKS = sorted(
    path.stem for path in (Path(__file__).parents[2] / "notebooks").glob("[0-9]*.ipynb")
)
QUICK = ("01_data_curation", "06_stacking_and_anova")

ALL_CELLS = {"@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}}
"""JupyterLab draws the cells in sight; here all of them are looked at."""

PROMPTS = """() => [...document.querySelectorAll('.jp-Notebook .jp-CodeCell .jp-InputPrompt')]
  .map(prompt => prompt.textContent.replace(/[^0-9*]/g, ''))"""
IDLE = ".jp-Notebook-ExecutionIndicator[data-status=idle]"
READY = "document.querySelectorAll('.jp-Notebook .jp-CodeCell').length > 0"
OVER = f"(prompts => prompts.some(Number) && !prompts.includes('*'))(({PROMPTS})())"
"""Something ran, and nothing waits: the end, or an error, after which JupyterLab runs no more."""


@pytest.fixture(scope="module")
def lab(root, copy, tmp_path_factory):
    """JupyterLab on a copy of the notebooks, which it saves: address, token, folder."""
    pytest.importorskip("jupyterlab")
    folder = tmp_path_factory.mktemp("lab")
    for name in ("notebooks", ".jupyter"):
        shutil.copytree(root / name, folder / name)
    shutil.copy(root / "jupytext.toml", folder)
    overrides = folder / ".jupyter" / "labconfig" / "default_setting_overrides.json"
    settings = json.loads(overrides.read_text(encoding="utf-8"))
    overrides.write_text(json.dumps(settings | ALL_CELLS), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    # What `make lab` sets; and nothing that is found in, or left in, somebody's home.
    environment = os.environ | {
        "BRAINAGE_RUNS": str(copy.parent),
        "PYTHONPATH": str(root),
        "JUPYTER_CONFIG_DIR": str(folder / ".jupyter"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
    }
    command = [
        sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root",
        "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}",
    ]  # fmt: skip
    with open(folder / "lab.log", "w", encoding="utf-8") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}/api/status?token={token}", server, folder / "lab.log")
        yield f"http://127.0.0.1:{port}", token, folder
    finally:
        server.terminate()
        try:
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=10)
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8')[-2000:]}")


def _kernels(context, address: str) -> list[dict]:
    """Kernels of the server; none while it cannot say, which it cannot when one begins."""
    answer = context.request.get(address)
    return answer.json() if answer.ok else []


def _wait_for_kernel(context, address: str) -> None:
    """Before a kernel is there, JupyterLab asks nothing and restarts nothing."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        kernels = _kernels(context, address)
        if any(kernel["execution_state"] == "idle" and kernel["connections"] for kernel in kernels):
            return
        time.sleep(0.5)
    pytest.fail(f"no kernel is ready: {kernels}")


def _saved(path: Path, prompts: list[str]) -> list[nbformat.NotebookNode]:
    """Code cells of the notebook, once it is saved as it is shown."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
        if [str(cell.execution_count or "") for cell in cells] == prompts:
            return cells
        time.sleep(0.5)
    pytest.fail(f"{path.name} was not saved")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_restart_and_run_all_finds_no_error(name, lab, browser):
    if name not in QUICK and os.environ.get("BRAINAGE_LAB") != "all":
        pytest.skip("BRAINAGE_LAB=all opens every chapter")
    address, token, folder = lab
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        tab = context.new_page()
        tab.set_default_timeout(120_000)
        tab.goto(f"{address}/lab/tree/notebooks/{name}.ipynb?token={token}&reset")
        tab.wait_for_function(READY, polling=200)
        assert not any(tab.evaluate(PROMPTS))
        _wait_for_kernel(context, f"{address}/api/kernels?token={token}")
        tab.locator(IDLE).wait_for(state="attached")
        tab.locator(".lm-MenuBar-itemLabel", has_text="Kernel").click()
        tab.locator(".lm-Menu-itemLabel", has_text="Restart Kernel and Run All Cells").click()
        tab.locator(".jp-Dialog button", has_text="Restart").click()
        tab.wait_for_function(OVER, polling=500, timeout=1_000_000)
        prompts = tab.evaluate(PROMPTS)
        tab.keyboard.press("Control+s")
        cells = _saved(folder / "notebooks" / f"{name}.ipynb", prompts)
    finally:
        for kernel in _kernels(context, f"{address}/api/kernels?token={token}"):
            context.request.delete(f"{address}/api/kernels/{kernel['id']}?token={token}")
        context.close()
    outputs = [output for cell in cells for output in cell.outputs]
    assert [o.evalue for o in outputs if o.output_type == "error"] == []
    # From the first cell to the last, each once, in a kernel that began anew.
    assert prompts == [str(number) for number in range(1, len(cells) + 1)]
    assert outputs
