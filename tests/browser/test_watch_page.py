"""The page of a study while it runs, as a browser shows it."""

import shutil

import pytest

from served import HOST, running
from vitrial.store.run_folder import RunFolder
from vitrial.store.study import load_study
from vitrial.web.watch import watch_app

BUILT = "#live:not([data-version=''])"
SHOWN = "#progress progress"


@pytest.fixture
def study(odd_study, tmp_path, monkeypatch):
    monkeypatch.setattr("vitrial.web.watch.REST", 0)
    shutil.copytree(odd_study.path, tmp_path / "study")
    return load_study(tmp_path / "study")


@pytest.fixture
def watched(study, opened):
    """Opens the page of a study once its report is there."""
    with running(watch_app(study.path, HOST)) as port:

        def watched(**how):
            page = opened(f"http://{HOST}:{port}/", **how)
            page.wait_for_selector(BUILT, timeout=60_000)
            page.wait_for_selector(SHOWN)
            return page

        yield watched


def version_of(page):
    return page.evaluate("document.getElementById('live').dataset.version")


def after(version):
    """The page once it shows a later report."""
    return f"#live:not([data-version='']):not([data-version='{version}'])"


def lose(study):
    """Take a run away, as if it had failed."""
    folder = RunFolder(study.path / study.facts.stages[0].folder)
    (folder.path / "result.json").unlink()
    folder.fail("It <b>diverged</b>.")


def test_the_report_comes_by_itself_and_its_own_scripts_work(watched):
    page = watched()
    assert "2 of 2 stages done" in page.locator("#progress").inner_text()
    assert page.locator("th button").count() > 0
    assert page.said == []


def test_it_is_renewed_as_the_study_changes_and_stays_where_it_was(study, watched):
    page = watched()
    fold = page.locator("#protocol details").first
    fold.evaluate("fold => { fold.open = true; document.activeElement.blur(); }")
    page.evaluate("window.scrollTo(0, 700)")
    before = version_of(page)
    lose(study)
    page.wait_for_selector(after(before), timeout=60_000)
    page.wait_for_selector(SHOWN)
    assert "1 failed" in page.locator("#progress").inner_text()
    assert "It <b>diverged</b>." in page.locator("#progress").inner_text()
    page.wait_for_load_state("load")
    assert page.evaluate("window.scrollY") > 300  # what is above it may have grown or shrunk
    assert page.locator("details[open]").count() == 1
    assert page.said == []


def test_nothing_is_taken_away_from_under_a_keyboard(study, watched):
    page = watched()
    page.locator("th button:visible").first.focus()
    before = version_of(page)
    lose(study)
    offer = page.get_by_role("button", name="The report has changed: show it")
    offer.wait_for(timeout=60_000)
    assert page.evaluate("document.activeElement.matches('th button')")
    assert version_of(page) == before
    offer.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(after(before))


def test_it_says_that_the_server_has_ended(study, opened):
    with running(watch_app(study.path, HOST)) as port:
        page = opened(f"http://{HOST}:{port}/")
        page.wait_for_selector(SHOWN)
    page.wait_for_selector("#reach:not(:empty)")
    assert "The server has ended" in page.locator("#reach").inner_text()
    assert "2 of 2 stages done" in page.locator("#progress").inner_text()


def test_axe_finds_nothing_serious_and_a_phone_does_not_scroll_sideways(watched):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = watched(width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = axe.Axe().run(page, "#live").response["violations"]
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        assert [(one["id"], one["nodes"][0]["html"]) for one in serious] == []
