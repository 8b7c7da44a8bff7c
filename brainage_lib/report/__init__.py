"""Reports: the staged book, its generated pages and its PDF, and what is recorded of a run."""

from brainage_lib.report.book import build, stage
from brainage_lib.report.cbv_pages import shipped_cards, signal_table
from brainage_lib.report.one_scan import group_page, scan_page
from brainage_lib.report.one_scan_pdf import scan_pdf
from brainage_lib.report.pages import announcement, citation, recorded_status, status
from brainage_lib.report.pdf import find_chromium, print_pdf
from brainage_lib.report.recorded import record

__all__ = [
    "announcement",
    "build",
    "citation",
    "find_chromium",
    "group_page",
    "print_pdf",
    "record",
    "recorded_status",
    "scan_page",
    "scan_pdf",
    "shipped_cards",
    "signal_table",
    "stage",
    "status",
]
