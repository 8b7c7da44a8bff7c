"""The built book's generator knows no more of blood than can be known."""

from __future__ import annotations

import pandas as pd
import pytest


@pytest.mark.book
def test_the_runs_generator_is_not_above_its_ceiling(book_run):
    from brainage_lib.train.cbv_scores import above_ceiling

    assert above_ceiling(pd.read_csv(book_run.path("aicbv/scores.csv"))) == []
