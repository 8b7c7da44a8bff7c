"""pip, conda and the pins agree; light imports stay light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib

import pytest
import yaml

# The packages that the project was asked to be built on.
ASKED = {
    "jupyterlab", "jupytext", "papermill", "torch", "nibabel", "nilearn", "pandas", "statsmodels",
    "plotly", "jupyter-book",
}  # fmt: skip


def name_of(requirement: str) -> str:
    """Normalised name of a requirement."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


@pytest.fixture(scope="module")
def required(root):
    """Requirements of pyproject.toml, of the library and for development."""
    with open(root / "pyproject.toml", "rb") as stream:
        project = tomllib.load(stream)["project"]
    return project["dependencies"], project["optional-dependencies"]["dev"]


@pytest.fixture(scope="module")
def conda(root):
    """The parsed environment.yml."""
    return yaml.safe_load((root / "environment.yml").read_text(encoding="utf-8"))


def test_the_packages_that_were_asked_for_are_there(required):
    assert {name_of(entry) for entry in required[0]} >= ASKED


def test_conda_users_get_the_same_packages_as_pip_users(required, conda):
    (pip,) = (entry["pip"] for entry in conda["dependencies"] if isinstance(entry, dict))
    assert pip[0] == "-c constraints.txt"
    assert pip[-1] == "-e ."
    assert pip[1:-1] == [*required[0], *required[1]]


def test_every_required_package_is_pinned_and_the_pin_is_allowed(root, required):
    from packaging.requirements import Requirement

    lines = (root / "constraints.txt").read_text(encoding="utf-8").split()
    pins = {name_of(line): line.split("==")[1] for line in lines}
    for entry in [*required[0], *required[1]]:
        requirement = Requirement(entry)
        assert name_of(entry) in pins, entry
        assert requirement.specifier.contains(pins[name_of(entry)]), entry


def test_the_scripts_of_the_pages_are_pinned_with_their_hashes(root):
    import json

    package = json.loads((root / "book" / "package.json").read_text())
    locked = json.loads((root / "book" / "package-lock.json").read_text())["packages"]
    for name, version in package["dependencies"].items():
        entry = locked[f"node_modules/{name}"]
        assert entry["version"] == version
        assert entry["integrity"].startswith("sha512-")


@pytest.mark.parametrize("room", ["", ".tables", ".run", ".stats", ".cli"])
def test_light_rooms_load_no_heavy_package(room):
    code = (
        f"import sys, brainage_lib{room}; "
        "print([name for name in ('torch', 'lightning', 'nilearn', 'SimpleITK', 'plotly') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_rooms_keep_to_their_floors(root):
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as l; l()"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("room", ["brainage_lib", "workflow", "benchmarks"])
def test_text_files_are_utf8_whatever_the_locale(root, room):
    """A text file that is opened without an encoding is read as ASCII where no locale is set."""
    others = {
        "gzip",
        "tarfile",
        "zipfile",
        "packed",
        "member",
        "webbrowser",
        "os",
        "Image",
        "sitk",
        "nib",
    }
    for path in sorted((root / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            of_path = isinstance(node.func, ast.Attribute)
            name = node.func.attr if of_path else getattr(node.func, "id", "")
            if name not in ("open", "read_text", *(["write_text"] if of_path else [])):
                continue
            if of_path and getattr(node.func.value, "id", "") in others:
                continue
            modes = [*node.args, *(word.value for word in node.keywords if word.arg == "mode")]
            binary = any(isinstance(mode, ast.Constant) and "b" in str(mode.value)
                         for mode in modes)  # fmt: skip
            has_encoding = any(word.arg == "encoding" for word in node.keywords)
            assert binary or has_encoding, f"{path}, line {node.lineno}: {ast.unparse(node)}"
