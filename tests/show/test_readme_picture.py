from __future__ import annotations

from brainage_lib import show


def test_picture_of_the_readme_is_the_drawing_of_the_book(root):
    """If this fails, write it anew: ``python workflow/accept.py`` does, with the numbers."""
    assert (root / "book/_static/pipeline.svg").read_text() == show.pipeline().standalone()
