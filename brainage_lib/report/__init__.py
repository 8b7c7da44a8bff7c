"""Reports: the staged book, its generated pages and its PDF."""

from brainage_lib.report.book import build, stage
from brainage_lib.report.pages import announcement, citation, status
from brainage_lib.report.pdf import find_chromium, print_pdf

__all__ = [
    "announcement",
    "build",
    "citation",
    "find_chromium",
    "print_pdf",
    "stage",
    "status",
]
