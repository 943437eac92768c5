import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from vitrial.data.audit.audit import audit_dataset
from vitrial.data.cache import prepare
from vitrial.data.sources import load_dataset
from vitrial.data.sources.folder import FolderData
from vitrial.data.sources.phantom import PhantomData
from vitrial.errors import Problem
from vitrial.protocol import Image
from vitrial.report.audit import findings, section, write_page
from vitrial.report.figures.contact_sheet import MOST, contact_sheet, thumbnails
from vitrial.seeds import draw_names

HOSTILE = "<img src=x onerror=alert(1)>"


def flat_images(root, levels, folder="a"):
    """PNG files of one color each."""
    (root / folder).mkdir(parents=True, exist_ok=True)
    for i, level in enumerate(levels):
        pixels = np.full((16, 16, 3), level, dtype=np.uint8)
        Pillow.fromarray(pixels).save(root / folder / f"{i:02}.png")
    return load_dataset(FolderData(source="folder", root=root))


def picture(uri):
    kind, _, content = uri.partition(";base64,")
    assert kind == "data:image/jpeg"
    return np.asarray(Pillow.open(io.BytesIO(base64.b64decode(content)))).astype(int)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_shows_the_images_in_order(tmp_path, channels):
    levels = np.linspace(10, 240, 23)
    cache, _ = prepare(flat_images(tmp_path / "set", levels), Image(channels=channels), tmp_path)
    sheet = picture(contact_sheet(cache, np.arange(23)[::-1]))
    assert sheet.shape == (3 * 84 - 4, 10 * 84 - 4, 3)
    centers = [
        sheet[line * 84 + 40, column * 84 + 40, 0] for line in (0, 1, 2) for column in range(10)
    ]
    np.testing.assert_allclose(centers[:23], levels[::-1], atol=4)
    assert min(centers[23:]) > 250, "places without an image are white"
    one = picture(thumbnails(cache, np.array([5]))[0])
    assert one.shape == (80, 80, 3)
    assert abs(one.mean() - levels[5]) < 4


@given(st.sets(st.text(max_size=6), max_size=60), st.randoms(use_true_random=False))
def test_which_images_are_drawn_does_not_depend_on_their_order(names, random):
    names = sorted(names)
    other = random.sample(names, len(names))
    drawn = [names[i] for i in draw_names(names, MOST)]
    assert drawn == [other[i] for i in draw_names(other, MOST)]
    assert len(set(drawn)) == len(drawn) == min(len(names), 40)


@pytest.fixture
def hostile(tmp_path):
    """An audit of a data set whose names and contents are HTML."""
    root = tmp_path / f"set {HOSTILE}"
    generator = np.random.default_rng(0)
    for folder in (HOSTILE, '" onload="alert(2)', "sound"):
        (root / folder).mkdir(parents=True)
        for i in range(4):
            pixels = generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Pillow.fromarray(pixels).save(root / folder / f"{i}{HOSTILE}.png")
    (root / "sound" / f"{HOSTILE}.png").write_bytes(b"<script>alert(3)<script>")
    Pillow.new("RGB", (16, 16)).save(root / "sound" / f"black{HOSTILE}.png")
    dataset = load_dataset(FolderData(source="folder", root=root))
    return audit_dataset(dataset, Image(resize=16), tmp_path / "cache")


def test_every_text_is_escaped_and_the_page_is_self_contained(hostile, tmp_path):
    page = write_page(hostile, tmp_path).read_text(encoding="utf-8")
    assert HOSTILE not in page
    assert "<script" not in page
    assert 'onload="alert' not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "://" not in page
    assert page.count('<img class="sheet" src="data:image/jpeg;base64,') == 3


def test_suspects_are_shown_with_name_label_and_size(hostile):
    (black,) = [f for f in findings(hostile.problems, hostile) if "constant" in f.what]
    ((uri, caption),) = black.pictures
    assert picture(uri).max() < 4
    assert caption == f"sound/black{HOSTILE}.png: sound, 16 x 16"


def test_findings_are_gathered_by_kind_fatal_and_rare_ones_first(hostile):
    dull = "spans 3 of 256 gray levels"
    problems = [
        *(Problem(f"{i}.png", dull.replace("3", str(i)), "widen", fatal=False) for i in range(30)),
        Problem("b.png", "is damaged (one thing)", "copy it"),
        Problem("c.png", "is damaged (another)", "copy it"),
        Problem("sound, with a comma", "is odd", "look", fatal=False),
    ]
    problems += [Problem(f"{x}.png", f"'{x}.png' is a link: copy it", "copy it") for x in "de"]
    damaged, link, odd, gray = findings(problems, hostile)
    assert (link.what, link.count) == ("… is a link", 2)
    assert (damaged.what, damaged.count, damaged.fatal) == ("is damaged", 2, True)
    assert damaged.places == [
        ("b.png", "is damaged (one thing)"),
        ("c.png", "is damaged (another)"),
    ]
    assert (gray.what, gray.count, len(gray.places)) == ("spans … of … gray levels", 30, 20)
    assert (odd.count, odd.pictures) == (1, [])


def test_without_its_cache_an_audit_is_shown_without_pictures(hostile, tmp_path):
    gone = replace(hostile, cache=tmp_path / "gone")
    assert section(gone)["sheets"] == []
    assert section(gone)["facts"].equals(section(hostile)["facts"])
    assert not any(finding.pictures for finding in findings(gone.problems, gone))


def test_phantoms_have_a_sheet_for_each_class(tmp_path):
    dataset = load_dataset(PhantomData(source="phantom", patients=30, size=32))
    audit = audit_dataset(dataset, Image(resize=32), tmp_path)
    sheets = section(audit)["sheets"]
    assert [label for label, *_ in sheets] == dataset.classes
    assert sum(n for _, _, n, _ in sheets) == len(dataset.manifest)


def test_a_page_stays_small_with_many_classes_and_many_kinds_of_problems(hostile, monkeypatch):
    monkeypatch.setattr("vitrial.report.audit.SHEETS", 2)
    monkeypatch.setattr("vitrial.report.audit.ON_SHEETS", 18)
    audit = replace(hostile, classes=[*hostile.classes, "x", "y", "z"])
    shown = section(audit)
    assert len(shown["sheets"]) <= 2
    assert all(n <= 9 for _, n, _, _ in shown["sheets"])
    assert shown["more_classes"] == len(audit.classes) - 2
    kinds = [Problem("p", f"kind {chr(97 + i // 26)}{chr(97 + i % 26)}", "m") for i in range(99)]
    found = findings(kinds, audit)
    assert len(found) == 61
    assert (found[-1].count, found[-1].fatal) == (39, True)
    assert "39 other kinds are in problems.csv" in found[-1].what
