"""Check that the committed notebooks are pairs in step, without outputs, with their parameters."""

from __future__ import annotations

import sys
from pathlib import Path

import jupytext

from brainage_lib.run.chapter import DECLARED
from brainage_lib.run.execute import KERNEL

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"


def faults(folder: Path) -> list[str]:
    """List what is wrong with the notebooks of a folder, each with its remedy."""
    found = []
    for name in sorted({path.stem for path in folder.glob("*.*") if path.is_file()}):
        notebook, script = folder / f"{name}.ipynb", folder / f"{name}.py"
        missing = [path.name for path in (notebook, script) if not path.is_file()]
        if missing:
            found.append(f"{missing[0]} is missing: jupytext --sync notebooks/{name}.*")
            continue
        content = jupytext.read(notebook)
        text = script.read_text(encoding="utf-8")
        if _cells(content) != _cells(jupytext.reads(text, fmt="py:percent")):
            found.append(
                f"{name}: notebook and script differ; jupytext --sync notebooks/{name}.py "
                "takes the newer one"
            )
        code = [cell for cell in content.cells if cell.cell_type == "code"]
        if any(cell.outputs or cell.execution_count for cell in code):
            found.append(f"{name}.ipynb has outputs: clear them before the commit")
        tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
        declared = (
            [line.split("=")[0].strip() for line in tagged[0].source.splitlines()] if tagged else []
        )
        if len(tagged) != 1 or tuple(declared) != DECLARED:
            found.append(
                f"{name}: needs one cell tagged parameters that sets {', '.join(DECLARED)}"
            )
        if content.metadata.get("kernelspec", {}).get("name") != KERNEL:
            found.append(f"{name}: its kernel must be {KERNEL}")
    return found


def _cells(content) -> list[tuple[str, str, list[str]]]:
    return [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in content.cells]


if __name__ == "__main__":
    problems = faults(FOLDER)
    print("\n".join(problems) or "notebooks: pairs in step, no outputs")
    sys.exit(bool(problems))
