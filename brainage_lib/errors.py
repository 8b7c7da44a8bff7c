"""Errors that are meant for the user, each with the exit code that the command returns."""

from __future__ import annotations

from collections.abc import Sequence


class UserError(Exception):
    """Something the user can mend; shown without a traceback on the command line."""

    exit_code = 3


class WrongUsage(UserError):
    """A setting, parameter or option that does not exist or cannot be used."""

    exit_code = 2


class BadInput(UserError):
    """Input that cannot be used; lists every finding, not only the first.

    Parameters
    ----------
    where : str
        The file or object that was read.
    findings : sequence of str
        One line a finding: where in it (line, column, scan_id), what is wrong, what to do.
    """

    exit_code = 3

    def __init__(self, where: str, findings: Sequence[str]):
        self.where = where
        self.findings = list(findings)
        count = len(self.findings)
        head = f"{where}: {count} problem{'s' if count != 1 else ''}"
        super().__init__("\n".join([head, *(f"  {finding}" for finding in self.findings)]))


class BadImage(UserError):
    """An image that cannot be used; ``reason`` goes into the quality table.

    Parameters
    ----------
    reason : str
        What is wrong, in the words of the quality table (short, no path).
    remedy : str
        What the user can do.
    """

    exit_code = 3

    def __init__(self, reason: str, remedy: str = ""):
        self.reason = reason
        self.remedy = remedy
        super().__init__(f"{reason}; {remedy}" if remedy else reason)


class Refused(UserError):
    """A scan whose quality does not allow a result."""

    exit_code = 4
