"""The page of the library: every public name of every room is on it, and its text is sound."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import yaml


def test_every_room_has_its_section(root):
    page = (root / "book" / "api.md").read_text(encoding="utf-8")
    named = set(re.findall(r"automodule:: brainage_lib\.(\w+)", page))
    rooms = {path.parent.name for path in (root / "brainage_lib").glob("*/__init__.py")}
    # The command has help of its own.
    assert named >= rooms - {"cli"}


def test_docstrings_are_sound_for_the_page(root, tmp_path):
    """Sphinx says nothing about them; in the book, which it builds last, it would stop it."""
    settings = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["sphinx"]
    chosen = {
        name: value
        for name, value in settings["config"].items()
        if name.startswith(("autodoc", "napoleon"))
    }
    lines = [f"{name} = {value!r}" for name, value in chosen.items()]
    lines.append("extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']")
    (tmp_path / "conf.py").write_text("\n".join(lines))
    shutil.copy(root / "book" / "api.md", tmp_path / "index.md")
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "dummy", tmp_path, tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
