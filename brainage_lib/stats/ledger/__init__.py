"""The ledger: 42 findings about the paper's claims, from its own printed numbers."""

from brainage_lib.stats.ledger.finding import KINDS, VERDICTS, Finding
from brainage_lib.stats.ledger.observed import observe
from brainage_lib.stats.ledger.table import LEDGER_COLUMNS, findings, ledger

__all__ = ["KINDS", "LEDGER_COLUMNS", "VERDICTS", "Finding", "findings", "ledger", "observe"]
