"""What the page of ``brainage stats`` shows: findings, units, n, descriptions, nothing fetched."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from brainage_lib import show, stats
from brainage_lib.show.statistics import Told, statistics_page
from brainage_lib.show.whole_page import Section, whole_page

SOURCE = "made up"
QUICK = {"replicates": 100}


def predictions(n=240, patients=True):
    """Both modes, repeated scans, patients, three studies; with a little truth."""
    rng = np.random.default_rng(8)
    people = pd.DataFrame(
        {
            "participant_id": [f"p{i % (n // 2):04}" for i in range(n)],
            "scan_id": [f"s{i:04}" for i in range(n)],
            "session": [str(1 + i // (n // 2)) for i in range(n)],
            "project": np.array(["IXI", "OAS1", "Mine <&>"])[np.arange(n) % (n // 2) % 3],
            "age": 20 + (np.arange(n) % (n // 2)) * 120 / n,
            "sex": np.array(["F", "M"])[np.arange(n) % (n // 2) % 2],
        }
    )
    number = np.arange(n) % (n // 2)
    people["diagnosis"] = np.where((number % 10 == 9) & patients, "AD", "control")
    ill = people["diagnosis"] != "control"
    paper = np.array(["train"] * 6 + ["validation"] * 2 + ["test", "train"])[np.arange(n) % 10]
    parts = [people.assign(mode="paper", fold=0, role=np.where(ill, "apart", paper))]
    for fold in (0, 1):
        role = np.where(number % 2 == fold, "test", "train")
        parts.append(people.assign(mode="sound", fold=fold, role=np.where(ill, "apart", role)))
    rows = pd.concat(parts, ignore_index=True)
    sd = np.where(rows["role"] == "train", 1.0, 6.0)
    return pd.concat(
        [
            rows.assign(recipe="paper", net=net, seed=0,
                        predicted_age=rows["age"] + sd * rng.normal(size=len(rows)))
            for net in "TA"
        ],
        ignore_index=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def analysis():
    return stats.analyse(predictions(), replicates=100, simulated=100)


def page_of(analysis):
    which = analysis.headline
    paper = {name: getattr(stats, f"paper_{name}")()
             for name in ("table1", "table2", "table3", "anova", "coefficients")}  # fmt: skip
    told = Told(
        analysis.tables, analysis.missing, which, analysis.stacked.rows,
        stats.pairs_of(analysis.stacked, which["recipe"], which["mode"], "TA"), paper, SOURCE,
    )  # fmt: skip
    return statistics_page(told, "Brain age: made up", analysis.warnings)


@pytest.fixture(scope="module")
def page(analysis):
    return page_of(analysis)


@pytest.fixture(scope="module")
def soup(page):
    return BeautifulSoup(page, "html.parser")


def test_every_chart_has_a_title_with_a_finding_and_a_description(soup):
    figures = soup.find_all("figure")
    assert len(figures) >= 12
    for figure in figures:
        assert len(figure.find("p", class_="shown-title").text) > 10
        assert len(figure.find(attrs={"role": "img"})["aria-label"]) > 20
        assert re.search(r"n = \d", figure.find("figcaption").text + figure.p.text)
        assert "Data: made up" in figure.find("figcaption").text
    assert "nan" not in soup.main.get_text().lower().replace("finance", "")


def test_nothing_is_asked_of_a_host(soup):
    policy = soup.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]
    assert policy.startswith("default-src 'none'")
    for tag in soup.find_all(["script", "link", "img", "iframe"]):
        assert not (tag.get("src") or "").startswith(("http", "//"))
        assert tag.name != "link"
    for link in soup.find_all("a"):
        assert link["href"].startswith(("data:", "#"))


def test_contents_lead_to_sections_and_a_page_has_one_heading_of_the_first_rank(soup):
    for link in soup.nav.find_all("a"):
        assert soup.find(id=link["href"][1:]) is not None
    assert len(soup.find_all("h1")) == 1


def test_no_name_of_a_person_or_a_scan_stands_in_the_page(soup):
    text = str(soup.main)
    assert not re.search(r"\b[ps]\d{4}\b", re.sub(r"base64,[^\"]+", "", text))


def test_text_cannot_become_markup(page):
    assert "Mine <&>" not in page.split("</script>", 1)[1]


def test_what_is_missing_says_why():
    table = predictions(120, patients=False)
    few = stats.analyse(
        table[(table["mode"] == "sound") & (table["role"] == "test") & (table["session"] == "1")],
        replicates=100,
        simulated=50,
    )
    text = BeautifulSoup(page_of(few), "html.parser").main.get_text()
    assert "Not shown: no patients are among the tested rows" in text
    assert "Not shown: fewer than 10 training rows" in text
    assert "fewer than two tested controls have two sessions" in text


def test_warnings_stand_before_everything():
    page = whole_page("T", ["intro"], [Section("S", ("text",))], ["odd <b>"])
    assert page.index("odd &lt;b&gt;") < page.index("<main>")
    assert "plotly" not in page  # no chart, no library


def test_coverage_title_names_the_groups_beyond_their_band(analysis):
    table = analysis.tables["coverage"]
    rows = table[(table["mode"] == "sound") & (table["model"] == "TA") & (table["kind"] == "local")]
    rows = rows.assign(verdict=np.where(rows["group"] == "IXI", "too few", "as said"))
    shown = show.coverage_by_group(rows, source=SOURCE)
    assert "too few in IXI" in shown.title
    assert "no group beyond" in show.coverage_by_group(
        rows.assign(verdict="as said"), source=SOURCE
    ).title  # fmt: skip


def test_patients_that_were_trained_on_are_warned_of(analysis):
    rows = stats.patients(analysis.stacked, **QUICK)
    rows = rows[(rows["mode"] == "sound") & (rows["model"] == "TA")]
    assert "No network learned" in show.patients_against_controls(rows, source=SOURCE).caption
    seen = show.patients_against_controls(rows.assign(trained_on=3), source=SOURCE)
    assert "Careful: networks learned from 3 scans" in seen.caption


def test_repeated_scans_of_nobody_are_no_error():
    empty = pd.DataFrame({"mean": [], "difference": []}, dtype=float)
    shown = show.bland_altman(empty, None, source=SOURCE)
    assert "No two controls" in shown.title
    assert "n = 0 people" in shown.caption
