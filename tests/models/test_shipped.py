"""Weights that come with the package are small, whole, and have their card."""

from __future__ import annotations

import pytest

from brainage_lib.files import digest_file
from brainage_lib.models import open_generator
from brainage_lib.models.shipped import FOLDER, shipped_card, shipped_grids, shipped_weights


@pytest.mark.parametrize("mm", shipped_grids())
def test_shipped_weights_are_small_whole_and_below_their_ceiling(mm):
    path, card = shipped_weights(mm), shipped_card(mm)
    assert path.stat().st_size < 20_000_000
    assert digest_file(path) == card["sha256"]
    assert card["above_ceiling"] == []
    assert open_generator(path).grid_mm == mm


def test_nothing_else_lies_beside_them():
    """Together small, no weights without a card, and nothing that is not known."""
    known = {f"aicbv-{mm}mm{end}" for mm in shipped_grids() for end in (".safetensors", ".json")}
    there = {path.name for path in FOLDER.iterdir() if path.suffix != ".py" and path.is_file()}
    assert there == known
    assert sum((FOLDER / name).stat().st_size for name in known) < 50_000_000
