"""What a reader sees of the built book."""

from __future__ import annotations

import ast
import json
import re
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

import nbformat
import pytest

pytestmark = [pytest.mark.book, pytest.mark.timeout(900)]

DESKTOP, PHONE = 1280, 390
PAGE_BYTES = 3_000_000


@pytest.fixture(scope="module")
def light(visit):
    return visit("light", DESKTOP)


@pytest.fixture(scope="module")
def dark(visit):
    return visit("dark", DESKTOP)


@pytest.fixture(scope="module")
def phone(visit):
    return visit("light", PHONE)


@pytest.fixture(scope="module")
def chapters(pages):
    return [page for page in pages if page.startswith("notebooks/")]


def told(visits, key):
    """Pages that have something under a key, with it."""
    return {page: found.seen[key] for page, found in visits.items() if found.seen[key]}


def test_every_page_of_the_contents_exists_and_has_a_title(light):
    assert {page: found.seen["status"] for page, found in light.items()} == dict.fromkeys(
        light, 200
    )
    assert all(found.seen["heading"].strip() for found in light.values())


def test_no_page_shows_a_traceback_or_a_reference_that_leads_nowhere(light):
    assert told(light, "faults") == {}
    signs = ("Traceback (most recent call last)", "An Exception was encountered", "{glue", "{cite")
    for page, found in light.items():
        assert not [sign for sign in signs if sign in found.seen["text"]], page


def test_every_figure_of_the_executed_notebooks_is_drawn(light, chapters, book_run):
    for page in chapters:
        notebook = nbformat.read(book_run.path(f"{page}.ipynb"), 4)
        outputs = [
            output.get("data", {}).get("text/html", "")
            for cell in notebook.cells
            if cell.cell_type == "code"
            for output in cell.outputs
        ]
        made = sum(text.count('class="plotly-graph-div"') for text in outputs)
        shown = sum(text.count('<figure class="shown') for text in outputs)
        seen = light[page].seen
        assert (seen["charts"], seen["drawn"], seen["shown"]) == (made, made, shown), page
    assert told(light, "broken") == {}


def test_every_picture_and_chart_is_described_for_those_who_do_not_see_it(light):
    assert told(light, "undescribed") == {}
    assert told(light, "undescribedCharts") == {}


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", DESKTOP), ("dark", DESKTOP), ("light", PHONE)]
)
def test_an_automated_audit_finds_no_barrier(audit, scheme, width):
    assert audit(scheme, width) == {}


@pytest.mark.parametrize("mode", ["light", "dark", "phone"])
def test_no_page_asks_another_host_and_the_console_stays_silent(mode, request, site):
    for page, found in request.getfixturevalue(mode).items():
        asked = [url for url in found.requests if not url.startswith((site, "data:", "blob:"))]
        assert asked == [], page
        assert found.complaints == [], page


def test_the_banner_on_every_page_says_whether_the_scans_are_simulated(light, dark, book_run):
    begins = "Simulated scans:" if book_run.simulated else "Real scans of"
    for visits in (light, dark):
        for page, found in visits.items():
            assert found.seen["banner"].startswith(begins), page
            assert found.seen["bannerContrast"] > 4.5, page


def test_dark_pages_are_dark_and_their_charts_can_be_read(light, dark):
    assert {found.seen["mode"] for found in dark.values()} == {"dark"}
    assert {found.seen["mode"] for found in light.values()} == {"light"}
    assert told(dark, "unread") == {}
    assert told(light, "unread") == {}


def test_nothing_is_wider_than_a_phone(phone):
    assert told(phone, "overflow") == {}


@pytest.mark.parametrize("mode", ["light", "phone"])
def test_no_word_of_a_chart_is_cut_off(mode, request):
    assert told(request.getfixturevalue(mode), "cut") == {}


def test_each_chapter_offers_its_notebook_and_its_script(light, chapters, site, root):
    for page in chapters:
        links = {url.rsplit(".", 1)[1]: url for url in light[page].seen["downloads"]}
        with urlopen(links["ipynb"]) as answer:
            notebook = nbformat.reads(answer.read().decode(), 4)
        nbformat.validate(notebook)
        assert any(cell.get("outputs") for cell in notebook.cells), page
        with urlopen(links["py"]) as answer:
            script = answer.read().decode()
        assert script == (root / f"{page}.py").read_text(encoding="utf-8")
        ast.parse(script)


def test_no_page_and_no_download_tells_where_it_was_made(html, root, book_run):
    places = {str(root), str(book_run.folder), str(root.home())} - {"/"}
    texts = [path for kind in ("html", "ipynb", "js") for path in html.rglob(f"*.{kind}")]
    found = [
        path.relative_to(html).as_posix()
        for path in texts
        if path.parent.name != "_static"
        and any(place in path.read_text(encoding="utf-8") for place in places)
    ]
    assert found == []


def test_every_link_within_the_book_leads_to_a_page_and_its_place(light, html, site):
    broken = []
    for page, found in light.items():
        for url in set(found.seen["links"]):
            if not url.startswith(site):
                continue
            parts = urlsplit(url)
            target = html / unquote(parts.path).lstrip("/")
            anchor = re.escape(unquote(parts.fragment))
            if not target.is_file() or (
                anchor
                and target.suffix == ".html"
                and not re.search(rf'(id|name)="{anchor}"', target.read_text(encoding="utf-8"))
            ):
                broken.append((page, url.removeprefix(site)))
    assert broken == []


def test_each_table_and_figure_of_the_paper_is_one_click_from_the_first_page(light, pages, site):
    links = [url.removeprefix(site).split("#")[0] for url in light[pages[0]].seen["links"]]
    for name in ("00_one_scan", "01_data_curation", "04_split", "06_stacking_and_anova",
                 "07_by_age_and_study", "08_where_the_networks_look", "10_the_claims"):  # fmt: skip
        assert f"notebooks/{name}.html" in links, name


def test_the_search_finds_a_chapter_by_its_title(browser, site, light, chapters):
    title = light[chapters[-1]].seen["heading"].replace("#", "").strip()
    words = " ".join(re.findall(r"[A-Za-z]{3,}", title))
    tab = browser.new_page()
    try:
        tab.goto(f"{site}search.html?q={words.replace(' ', '+')}")
        tab.wait_for_selector("#search-results li a", timeout=30_000)
        found = tab.eval_on_selector_all("#search-results li a", "all => all.map(a => a.href)")
        assert any(f"{chapters[-1]}.html" in url for url in found)
    finally:
        tab.close()


def test_the_viewers_volumes_lie_beside_the_pages(html, chapters):
    text = (html / "notebooks" / "08_where_the_networks_look.html").read_text(encoding="utf-8")
    names = set(re.findall(r'"(viewer-[\w-]+)"', text))
    assert names
    missing = [n for n in names if not (html / "_static" / "viewer" / f"{n}.js").is_file()]
    assert missing == []
    assert (html / "_static" / "niivue.umd.js").is_file()


def test_a_page_weighs_less_than_three_megabytes(html, pages):
    sizes = {page: (html / f"{page}.html").stat().st_size for page in pages}
    assert {page: size for page, size in sizes.items() if size > PAGE_BYTES} == {}


def test_the_status_page_tells_every_chapters_duration_and_the_versions(light, chapters):
    text = light["book/status"].seen["text"]
    for page in chapters:
        name = page.removeprefix("notebooks/")
        assert re.search(rf"{name}.{{1,80}}?\d+ (s|min)", text, re.DOTALL), name
    assert "torch" in text


def test_how_to_cite_names_the_paper_and_the_version(light):
    from brainage_lib import __version__

    text = light["book/cite"].seen["text"]
    assert "Jomsky" in text
    assert __version__ in text


def test_the_pdf_has_the_whole_book_and_is_linked_from_the_first_page(light, pages, html, site):
    assert f"{site}brain-age.pdf" in light[pages[0]].seen["links"]
    content = (html / "brain-age.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    sheets = len(re.findall(rb"/Type\s*/Page\b", content))
    assert sheets > len(pages)


def test_the_run_card_is_whole(book_run, chapters):
    merged = json.loads(book_run.path("card.json").read_text(encoding="utf-8"))["chapters"]
    assert set(merged) == {page.removeprefix("notebooks/") for page in chapters}
    for name, card in merged.items():
        assert {"started", "seconds", "seed", "commit", "versions", "device"} <= set(card), name
