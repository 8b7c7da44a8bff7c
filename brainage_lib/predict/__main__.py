"""``python -m brainage_lib.predict RUN FOLDER``: pack the networks of a run to hand them on."""

from __future__ import annotations

import argparse
import sys

from brainage_lib.errors import UserError
from brainage_lib.predict import find_model
from brainage_lib.predict.pack import pack_model


def main() -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m brainage_lib.predict",
        description="Copy what `brainage predict --model` needs of a run to a new folder: networks "
        "in half precision, coefficients, a model card, and nothing of a single participant.",
    )
    parser.add_argument("run", help="a finished run: its name or its folder")
    parser.add_argument("folder", help="the new folder")
    parser.add_argument("--licence", default="", help="terms of the weights, for the card")
    options = parser.parse_args()
    try:
        card = pack_model(find_model(options.run), options.folder, options.licence)
    except UserError as error:
        print(f"brainage: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{options.folder}: {len(card['sha256'])} files for `brainage predict --model`")
    return 0


if __name__ == "__main__":
    sys.exit(main())
