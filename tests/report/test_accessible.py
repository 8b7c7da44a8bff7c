"""What the extension mends on the pages."""

from __future__ import annotations

import importlib.util

import pytest


@pytest.fixture(scope="module")
def mend(root):
    path = root / "book" / "_ext" / "accessible.py"
    spec = importlib.util.spec_from_file_location("accessible", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.mend


@pytest.mark.parametrize(
    ("made", "mended"),
    [
        ('<th class="head"><p></p></th>', "<td></td>"),
        ("<th></th>", "<td></td>"),
        ("<th>mae</th>", "<th>mae</th>"),
        ('<summary aria-label="Toggle hidden content">', "<summary>"),
        ('<div class="citation" role="doc-biblioentry">', '<div class="citation" role="listitem">'),
        (
            '<button class="btn search-button-field x" title="Search" aria-label="Search" y>',
            '<button class="btn search-button-field x" title="Search" y>',
        ),
        (
            '<i class="theme-switch fa-sun  fa-lg" data-mode="light" title="Light"></i>',
            '<i class="theme-switch fa-sun  fa-lg" data-mode="light" aria-hidden="true"></i>',
        ),
    ],
)
def test_what_hides_words_from_a_screen_reader_is_mended_and_the_rest_stays(mend, made, mended):
    assert mend(made) == mended
    assert mend(mended) == mended
