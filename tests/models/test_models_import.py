"""Importing the networks loads what they need and no more."""

from __future__ import annotations

import subprocess
import sys


def test_networks_load_without_tables_images_compiler_or_lightning():
    code = "import sys, brainage_lib.models; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = {name.split(".")[0] for name in out.stdout.split()}
    assert "torch" in loaded
    assert not loaded & {
        "pandas",
        "nibabel",
        "nilearn",
        "SimpleITK",
        "plotly",
        "numba",
        "lightning",
    }
