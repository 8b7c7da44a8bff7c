"""The command ``brainage``: parse, call the library, exit with a code.

Exit codes: 0 done, 2 wrong usage, 3 bad input, 4 refused by quality, 5 partly done, 1 a bug.
"""

from brainage_lib.cli.main import app, main

__all__ = ["app", "main"]
