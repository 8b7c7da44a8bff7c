"""What `make lint` says about notebooks."""

from __future__ import annotations

import importlib.util

import jupytext
import pytest

SOURCE = """# ---
# jupyter:
#   kernelspec:
#     display_name: Brain Age
#     language: python
#     name: brainage
# ---

# %% tags=["parameters"]
run = "demo"
profile = "demo"

# %%
1 + 1
"""


@pytest.fixture(scope="module")
def faults(root):
    path = root / "workflow" / "check_notebooks.py"
    spec = importlib.util.spec_from_file_location("check_notebooks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.faults


@pytest.fixture
def pair(tmp_path):
    """A folder with one pair in step."""
    notebook = jupytext.reads(SOURCE, fmt="py:percent")
    jupytext.write(notebook, tmp_path / "a.ipynb")
    (tmp_path / "a.py").write_text(SOURCE)
    return tmp_path


def test_a_pair_in_step_has_no_fault(faults, pair):
    assert faults(pair) == []


def test_a_changed_script_is_found(faults, pair):
    (pair / "a.py").write_text(SOURCE.replace("1 + 1", "1 + 2"))
    (fault,) = faults(pair)
    assert "a: notebook and script differ; jupytext --sync" in fault


def test_a_tag_that_only_one_of_them_has_is_found(faults, pair):
    (pair / "a.py").write_text(SOURCE.replace("# %%\n1", '# %% tags=["hide-input"]\n1'))
    assert "differ" in faults(pair)[0]


@pytest.mark.parametrize("name", ["a.py", "a.ipynb"])
def test_a_missing_partner_is_found(faults, pair, name):
    (pair / name).unlink()
    assert faults(pair) == [f"{name} is missing: jupytext --sync notebooks/a.*"]


def test_outputs_are_found(faults, pair):
    notebook = jupytext.read(pair / "a.ipynb")
    notebook.cells[-1].execution_count = 3
    jupytext.write(notebook, pair / "a.ipynb")
    assert faults(pair) == ["a.ipynb has outputs: clear them before the commit"]


def test_parameters_that_differ_from_the_contract_are_found(faults, pair):
    text = SOURCE.replace('profile = "demo"', 'profil = "demo"')
    (pair / "a.py").write_text(text)
    jupytext.write(jupytext.reads(text, fmt="py:percent"), pair / "a.ipynb")
    assert faults(pair) == ["a: needs one cell tagged parameters that sets run, profile"]


def test_another_kernel_is_found(faults, pair):
    text = SOURCE.replace("name: brainage", "name: python3")
    (pair / "a.py").write_text(text)
    jupytext.write(jupytext.reads(text, fmt="py:percent"), pair / "a.ipynb")
    assert faults(pair) == ["a: its kernel must be brainage"]
