"""Mend what the theme and pandas leave for readers who do not see a page.

Each entry answers to a rule of axe-core that the pages failed; `tests/book` runs axe over them.
"""

import re
from pathlib import Path

MENDED = (
    # label-content-name-mismatch: the label hid the words that are to be seen.
    (r'(<button class="btn search-button-field[^>]*?) aria-label="Search"', r"\1"),
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    (r'(<i class="theme-switch [^>]*?)\s+title="[^"]*"', r'\1 aria-hidden="true"'),
    # region: the side bar held its search outside any landmark.
    (
        r'<div id="pst-primary-sidebar" class="bd-sidebar-primary',
        '<div id="pst-primary-sidebar" role="region" aria-label="Book" class="bd-sidebar-primary',
    ),
    # empty-table-header: the corner of a table heads nothing.
    (r"<th(?: class=\"head\")?>\s*(?:<p>\s*</p>)?\s*</th>", "<td></td>"),
    # aria-deprecated-role, aria-required-children: entries of a list.
    (r'role="doc-biblioentry"', 'role="listitem"'),
    # scrollable-region-focusable: what scrolls can be scrolled by keyboard.
    (r'<div class="pst-scrollable-table-container">',
     '<div class="pst-scrollable-table-container" tabindex="0" role="group" aria-label="Table">'),
)  # fmt: skip


def setup(app):
    """Connect to Sphinx, when all pages are written."""
    app.connect("build-finished", mend_pages)
    return {"parallel_read_safe": True}


def mend(page: str) -> str:
    """Mend the HTML of one page."""
    for found, better in MENDED:
        page = re.sub(found, better, page)
    return page


def mend_pages(app, exception):
    """Mend every page of the HTML book."""
    if exception or app.builder.name != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        mended = mend(text)
        if mended != text:
            path.write_text(mended, encoding="utf-8")
