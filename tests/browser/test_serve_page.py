"""The page that answers a dropped image, as a browser shows it."""

import re

import pytest

from served import HOST, encoded, noise, running
from vitrial.web.serve import serve_app

BAD = {
    "empty.png": (b"", "is an empty file of 0 bytes"),
    "truncated.png": (encoded(noise(48, 64))[:400], "is damaged"),
    "<img src=x onerror=alert(1)>.svg": (b"<svg onload='alert(1)'/>", "is not an image but text"),
}


@pytest.fixture(scope="module")
def address(panel):
    with running(serve_app(panel, HOST)) as port:
        yield f"http://{HOST}:{port}/"


def file(name, content):
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


@pytest.fixture
def asked(opened, address):
    """Opens the page and chooses an image there."""

    def asked(**how):
        page = opened(address, **how)
        page.set_input_files("#file", file("lesion.png", encoded(noise(48, 64))))
        page.wait_for_selector("#answered")
        return page

    return asked


def test_an_image_that_is_chosen_is_answered_by_every_arm(asked, address):
    page = asked()
    assert page.locator("article h3").all_inner_texts() == [
        "test_resnet / random",
        "test_vit / random",
    ]
    assert "lesion.png is answered" in page.locator("#status").inner_text()
    assert page.evaluate("document.activeElement.id") == "answered"
    loaded = "[...document.images].map((image) => image.naturalWidth)"
    assert min(page.evaluate(loaded)) >= 32
    assert "not a medical device" in page.locator("main").inner_text()
    assert page.said == []
    assert all(re.match(f"{address}|data:", url) for url in page.requested)


def test_an_image_that_is_dropped_is_answered(opened, address):
    page = opened(address)
    dropped = page.evaluate_handle(
        """bytes => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], "dropped.png"));
          return transfer;
        }""",
        list(encoded(noise(48, 64))),
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": dropped})
    page.wait_for_selector("#answered")
    assert "dropped.png is answered" in page.locator("#status").inner_text()
    assert page.url == address


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_in_words_and_the_next_one_answered(opened, address, name):
    page = opened(address)
    content, said = BAD[name]
    page.set_input_files("#file", file(name, content))
    page.wait_for_selector("#error:not(:empty)")
    assert page.locator("#error").inner_text().startswith(f"{name}: The image {said}")
    assert page.locator("article").count() == 0
    page.set_input_files("#file", file("good.png", encoded(noise(48, 64))))
    page.wait_for_selector("#answered")
    assert page.locator("#error").inner_text() == ""


def test_a_file_that_is_too_large_is_not_sent(opened, address, tmp_path):
    large = tmp_path / "large.dcm"
    with large.open("wb") as sparse:
        sparse.truncate(64 * 2**20 + 1)
    page = opened(address)
    page.set_input_files("#file", large)
    page.wait_for_selector("#error:not(:empty)")
    assert page.locator("#error").inner_text() == "large.dcm is larger than 64 MiB."
    assert not any(url.endswith("/answer") for url in page.requested)


def test_the_keyboard_comes_to_the_file_first_and_then_to_the_answer(opened, address):
    page = opened(address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "file"
    page.locator(":focus").set_input_files(file("lesion.png", encoded(noise(48, 64))))
    page.wait_for_selector("#answered:focus")


def test_axe_finds_nothing_serious_and_a_phone_does_not_scroll_sideways(asked):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = asked(width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = axe.Axe().run(page).response["violations"]
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        assert [(one["id"], one["nodes"][0]["html"]) for one in serious] == []


def test_another_site_gets_no_answer(opened, panel, address, monkeypatch):
    """A page of another port, as a hostile site would be, and its attempts."""
    monkeypatch.setattr(panel.__class__, "answer", None)
    with running(serve_app(panel, HOST)) as other:
        page = opened(f"http://{HOST}:{other}/style.css")
        attempt = """async ([address, mode]) => {
          try {
            const response = await fetch(address, { method: "POST", body: "x", mode });
            return `${response.type} ${await response.text()}`;
          } catch (error) { return "refused"; }
        }"""
        for mode in ("cors", "no-cors"):
            assert page.evaluate(attempt, [f"{address}answer", mode]) in ("refused", "opaque ")
