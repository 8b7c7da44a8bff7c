"""Execute one notebook headlessly, so that what went wrong stands in the last lines.

``python -m brainage_lib.run.execute NOTEBOOK OUT -p run demo -p profile demo --writes TABLE ...``
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from brainage_lib.errors import UserError, WrongUsage
from brainage_lib.files import write_text
from brainage_lib.run.processes import stop_on_signals, stop_with_parent

KERNEL = "brainage"
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class ChapterFailed(UserError):
    """A cell raised, the kernel died, or a promised table is missing."""

    exit_code = 1


class Relay:
    """A stream that passes on what a notebook prints, line by line, with the chapter's name.

    A progress bar that returns to the beginning of its line becomes a line of its own.
    """

    def __init__(self, name: str):
        self.name = name

    def write(self, text: str) -> None:
        """Write every line that is not empty."""
        for line in re.split(r"[\r\n]+", text):
            if line.strip():
                print(f"{self.name} | {line.rstrip()}", file=sys.stderr)

    def flush(self) -> None:
        """Bring the lines to the terminal."""
        sys.stderr.flush()


def execute(
    notebook: Path, out: Path, parameters: Mapping[str, str], writes: Sequence[Path] = ()
) -> None:
    """Execute a notebook in its own folder and keep the executed one, also when it fails.

    Parameters
    ----------
    notebook : Path
        An ``.ipynb`` with one cell tagged ``parameters``.
    out : Path
        The executed notebook; after a failure it is complete up to the failing cell.
    parameters : mapping of str to str
        Values for names that the notebook declares.
    writes : sequence of Path
        Files that must exist afterwards. They get the present time, because a step that
        was up to date does not write its table again, and it is up to date all the same.

    Raises
    ------
    WrongUsage
        A parameter that the notebook does not declare; nothing was executed.
    ChapterFailed
        A cell raised, the kernel died, or one of ``writes`` is missing.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    declared = set(papermill.inspect_notebook(str(notebook)))
    unknown = sorted(set(parameters) - declared)
    if unknown:
        raise WrongUsage(
            f"{notebook.stem}: unknown parameter {', '.join(unknown)}; "
            f"the notebook declares {', '.join(sorted(declared)) or 'none'}"
        )
    relay = Relay(notebook.stem)
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        papermill.execute_notebook(
            notebook,
            out,
            parameters=dict(parameters),
            kernel_name=KERNEL,
            cwd=notebook.parent,
            progress_bar=False,
            stdout_file=relay,
            stderr_file=relay,
            # The kernel reports each time that it speaks over TCP, and that it was asked to end.
            extra_arguments=["--log-level=CRITICAL"],
        )
    except PapermillExecutionError as error:
        raise ChapterFailed(_describe(notebook.stem, out, error)) from None
    except Exception as error:
        raise ChapterFailed(
            f"{notebook.stem} stopped: {type(error).__name__}: {error}\n"
            "  If the kernel died, memory is the usual reason: fewer workers need less.\n"
            f"  Half-run notebook: {out.resolve()}"
        ) from error
    missing = [str(path) for path in writes if not path.is_file()]
    if missing:
        raise ChapterFailed(f"{notebook.stem} ended without writing {', '.join(missing)}")
    for path in writes:
        os.utime(path)


def _describe(name: str, out: Path, error) -> str:
    """Say which cell failed and how; `error` is papermill's."""
    source = error.source.strip().splitlines()
    shown = source[:8] + (["..."] if len(source) > 8 else [])
    trace = ANSI.sub("", "\n".join(error.traceback)).rstrip().splitlines()[-16:]
    return "\n".join(
        [
            f"{name} failed in cell In [{error.exec_count}]:",
            *(f"    {line}" for line in shown),
            "  The traceback ends with:",
            *(f"    {line}" for line in trace),
            f"  Half-run notebook: {out.resolve()}",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="brainage_lib.run.execute", description=__doc__)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("-p", nargs=2, metavar=("NAME", "VALUE"), action="append", default=[])
    parser.add_argument("--writes", nargs="*", type=Path, default=[])
    parser.add_argument("--failure", type=Path, help="a file that takes what went wrong")
    options = parser.parse_args(arguments)
    stop_with_parent()
    stop_on_signals()
    name = options.notebook.stem
    began = time.monotonic()
    print(f"{name} | begins", file=sys.stderr, flush=True)
    # The kernel's client takes the signals for itself when it runs in the main thread.
    with ThreadPoolExecutor(1) as thread:
        task = thread.submit(
            execute, options.notebook, options.out, dict(options.p), options.writes
        )
        try:
            task.result()
        except UserError as error:
            if options.failure:
                write_text(options.failure, f"{error}\n")
            else:
                print(f"\n{error}", file=sys.stderr)
            return error.exit_code
    print(f"{name} | done in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
