"""The ledger: 46 findings about the paper's claims, from its own printed numbers."""

from brainage_lib.stats.claims.finding import KINDS, Finding
from brainage_lib.stats.claims.observed import observe
from brainage_lib.stats.claims.regions import tell_statements
from brainage_lib.stats.claims.table import LEDGER_COLUMNS, findings, ledger

__all__ = ["KINDS", "LEDGER_COLUMNS", "Finding", "findings", "ledger", "observe", "tell_statements"]
