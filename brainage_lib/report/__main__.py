"""``python -m brainage_lib.report ROOT RUN`` builds the book of a run in ``RUN/book/html``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from brainage_lib.errors import UserError
from brainage_lib.files import write_text
from brainage_lib.report.book import build, stage
from brainage_lib.report.pdf import find_chromium
from brainage_lib.run import Run
from brainage_lib.run.processes import stop_on_signals, stop_with_parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="brainage_lib.report", description=__doc__)
    parser.add_argument("root", type=Path, help="the checkout")
    parser.add_argument("run", type=Path, help="the run folder")
    parser.add_argument("--failure", type=Path, help="a file that takes what went wrong")
    options = parser.parse_args(arguments)
    stop_with_parent()
    stop_on_signals()
    began = time.monotonic()
    print("pages | begins", file=sys.stderr, flush=True)
    chromium = find_chromium()
    if chromium is None:
        print("pages | no PDF: it needs Chromium, which is not installed", file=sys.stderr)
    try:
        run = Run(options.run)
        source = stage(options.root, run, pdf=chromium is not None)
        build(source, run.path("book", "html"), chromium)
    except UserError as error:
        if options.failure:
            write_text(options.failure, f"{error}\n")
        else:
            print(f"\n{error}", file=sys.stderr)
        return error.exit_code
    print(f"pages | done in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
