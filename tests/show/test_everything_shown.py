"""What every chart, picture and table promises."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from brainage_lib import show

CHARTS = [
    "counts_by_decade", "ages_by_study", "partition_divergence", "ages_by_split",
    "verdict_counts", "cbv_scores", "generator_curve", "training_curves",
    "predicted_against_age", "model_scatter", "model_residuals", "error_quantiles",
    "age_density", "mae_by_age", "mae_by_study", "differences", "control_ladder",
    "cascades", "region_figure", "stability_chart",
    "cascades", "region_figure", "signal_against_blood",
]  # fmt: skip
PICTURES = ["contact_sheet", "scan_steps", "cbv_maps", "gradcam_by_decade", "maps_by_method"]
TABLES = [
    "cohort_table", "reasons_table", "table1", "anova_table", "coefficients_table", "table2",
    "table3", "trials_table", "statements_table", "phantom_table",
    "generators_table",
]  # fmt: skip
OTHERS = ["ledger_table", "pipeline"]
ALL = [*CHARTS, *PICTURES, *TABLES, *OTHERS]
NO_UNIT = {"", "study", "epoch", "training step", "randomised back to this layer"}


def test_list_is_complete(everything):
    assert set(ALL) == set(everything)


@pytest.mark.parametrize("name", ALL)
def test_has_title_caption_description_and_numbers(everything, name):
    shown = everything[name]
    assert shown.title
    assert shown.alt
    assert isinstance(shown.data, pd.DataFrame)
    assert len(shown.data) > 0


@pytest.mark.parametrize("name", [name for name in ALL if name != "pipeline"])
def test_caption_says_where_the_scans_come_from(everything, name):
    data = everything[name].caption.rsplit("Data: ", 1)[1]
    # Where the paper's numbers stand beside, each column's scans are named.
    compared = name in ("table1", "anova_table", "coefficients_table")
    beside = "the paper's own scans; simulated scans (this run)."
    assert data == (beside if compared else "simulated scans.")


@pytest.mark.parametrize("name", [*CHARTS, *PICTURES])
def test_n_is_stated(everything, name):
    assert re.search(r"n = \d", everything[name].title + everything[name].caption)


@pytest.mark.parametrize("name", CHARTS)
def test_axes_are_named_with_their_units(everything, name):
    layout = everything[name].fig.to_dict()["layout"]
    axes = {key: axis for key, axis in layout.items() if re.fullmatch(r"[xy]axis\d*", key)}
    titles = {axis.get("title", {}).get("text", "") for axis in axes.values()}
    named = titles - {""}
    assert named
    for title in named - NO_UNIT:
        assert re.search(r"\(.+\)$", title) or title.startswith(("Pearson", "R²")), title


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_fetched_from_another_host(everything, name):
    page = BeautifulSoup(everything[name]._repr_mimebundle_()["text/html"], "html.parser")
    for tag in page.find_all(["script", "link", "img", "iframe", "source"]):
        address = tag.get("src") or tag.get("href") or "data:"
        assert address.startswith("data:")
    assert "http" not in "".join(style.text for style in page.find_all("style"))


@pytest.mark.parametrize("name", ALL)
def test_what_is_shown_has_a_description_for_those_who_do_not_see_it(everything, name):
    shown = everything[name]
    page = BeautifulSoup(shown.html(), "html.parser")
    if name in PICTURES:
        assert page.img["alt"] == shown.alt
    elif name in TABLES:
        assert page.find("caption").text == shown.title
    elif name == "ledger_table":
        assert page.table["aria-label"] == shown.title
    else:
        assert page.find(role="img")["aria-label"] == shown.alt


@pytest.mark.parametrize("name", ALL)
def test_numbers_can_be_taken_away(everything, name, tmp_path):
    shown = everything[name]
    link = BeautifulSoup(shown.html(), "html.parser").find("a", download=True)
    content = subprocess.check_output(["base64", "-d"], input=link["href"].split(",")[1].encode())
    shown.save_csv(tmp_path / "numbers.csv")
    assert content == (tmp_path / "numbers.csv").read_bytes()
    taken = pd.read_csv(io.BytesIO(content))
    assert list(taken.columns) == list(map(str, shown.data.columns))
    assert len(taken) == len(shown.data)


@pytest.mark.parametrize("name", [*CHARTS, *PICTURES, "pipeline"])
def test_what_is_drawn_can_be_saved_as_a_picture(everything, name):
    page = BeautifulSoup(everything[name].html(), "html.parser")
    kinds = {button.text for button in page.select("figcaption button.shown-save")}
    expected = {"SVG", "PNG"} if name in CHARTS else {"PNG"} if name in PICTURES else {"SVG"}
    assert kinds == expected
    for button in page.select("button.shown-save"):
        assert button["aria-label"].startswith(button.text)
        assert everything[name].name in button["onclick"]


def test_numbers_name_no_participant(everything):
    for shown in everything.values():
        assert not {"scan_id", "participant_id"} & set(shown.data.columns)


@pytest.mark.parametrize("name", ALL)
def test_text_from_tables_cannot_become_markup(everything, name):
    html = everything[name].html()
    assert "Mine <&>" not in html
    assert "a < b" not in html


@pytest.mark.parametrize("name", CHARTS)
def test_chart_fits_any_page(everything, name):
    layout = everything[name].fig.to_dict()["layout"]
    template = layout["template"]["layout"]
    assert "width" not in layout
    assert template["autosize"]
    assert template["paper_bgcolor"] == template["plot_bgcolor"] == "rgba(0,0,0,0)"
    assert template["legend"]["orientation"] == "h"


@pytest.mark.parametrize("name", CHARTS)
def test_jupyterlab_gets_title_and_caption_too(everything, name):
    shown = everything[name]
    bundle = shown._repr_mimebundle_()
    text = bundle["application/vnd.plotly.v1+json"]["layout"]["title"]["text"]
    plain = re.sub(r"<.*?>", " ", text).replace("&lt;", "<")
    assert "".join(plain.split()) == "".join((shown.title + shown.caption).split())


@pytest.mark.parametrize("size", [(0, ("IXI",)), (1, ("IXI",)), (12, ("IXI",))])
def test_empty_and_tiny_cohorts_of_one_study_can_be_shown(build, volume, size):
    for name, shown in build(*size, volume).items():
        assert shown.html(), name
        assert shown.title, name
        assert "nan" not in re.sub(r"base64,[^\"]+|<script>.*</script>", "", shown.html()), name


def test_same_cohort_gives_the_same_pages(everything, build, volume):
    again = build(80, ("ADNI", "IXI", "Mine <&>"), volume)
    assert {name: shown.html() for name, shown in again.items()} == {
        name: shown.html() for name, shown in everything.items()
    }


def test_caption_without_a_source_is_refused(cohort):
    with pytest.raises(ValueError, match="where its scans come from"):
        show.counts_by_decade(cohort["manifest"], source=" ")


def test_room_is_light_and_opens_no_figures():
    code = (
        "import sys, brainage_lib.show; "
        "print([m for m in ('torch', 'nilearn', 'SimpleITK', 'matplotlib.pyplot') "
        "if m in sys.modules])"
    )
    answer = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert answer.strip() == "[]"
