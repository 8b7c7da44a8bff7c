"""``brainage fetch`` asks before it fetches, and says what can be done next."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from brainage_lib.cli import app
from brainage_lib.data.fetch import Item, Plan
from brainage_lib.data.studies import load_study
from brainage_lib.errors import WrongUsage


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """A plan of one file; returns the list of files that were really asked for."""
    item = Item("https://example.org/a", "participants.tsv", 2_500_000_000, None, "", None)
    plan = Plan(load_study("dlbs"), tmp_path / "dlbs", [item], [item])
    fetched = []

    def bring(plan, host):
        from brainage_lib.data.fetch import Fetched

        fetched.extend(plan.missing)
        return Fetched(len(plan.missing), ["participants.tsv"])

    monkeypatch.setattr("brainage_lib.data.fetch.plan_fetch", lambda *a: plan)
    monkeypatch.setattr("brainage_lib.data.fetch.fetch", bring)
    return fetched


def run(tmp_path, *more, answer=None):
    arguments = ["fetch", "dlbs", "--into", str(tmp_path / "dlbs"), *more]
    return CliRunner().invoke(app, arguments, input=answer, catch_exceptions=False)


@pytest.mark.parametrize(("answer", "files"), [("n\n", 0), ("y\n", 1)])
def test_the_size_is_shown_and_the_answer_counts(asked, tmp_path, answer, files):
    result = run(tmp_path, answer=answer)
    assert result.exit_code == 0
    assert re.search(r"2\.50 GB.*Fetch it\?", result.output, re.S)
    assert len(asked) == files


def test_yes_answers_before_and_the_next_step_is_named(asked, tmp_path):
    result = run(tmp_path, "--yes")
    assert len(asked) == 1
    assert "1 files have no published checksum" in result.output
    into = tmp_path / "dlbs"
    assert (
        f"next: brainage manifest build --study dlbs --table {into}/participants.tsv "
        f"--images {into} --out {tmp_path}/dlbs.csv" in result.output
    )


def test_restricted_studies_are_refused_with_the_way_to_them(tmp_path):
    with pytest.raises(WrongUsage, match="OAS1 cannot be fetched: after agreeing to terms"):
        CliRunner().invoke(app, ["fetch", "oas1", "--into", str(tmp_path)], catch_exceptions=False)
