import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from drawn import axis, marks, plots, texts
from vitrial.compare.explanations import method_table
from vitrial.explain.explained import Explained, read_explained
from vitrial.explain.shown import Shown, ShownMap, write_shown
from vitrial.report.explained import print_explanations
from vitrial.report.explanations import section
from vitrial.report.figures.viewer import viewer_data
from vitrial.report.template import template


def section_of(folder):
    return section(read_explained(folder))


EVIL = "</script><script>alert('x')</script> \"q\" $a$ &amp; \u2028"
MEASURES = ("pointing", "energy", "precision", "iou", "deletion", "insertion")
LEVELS = {"random 3x3": 0.2, "center": 0.5, "gradcam": 0.4, "attention": 0.9}


def measures(cnn="resnet50", masked=True, faithful=True, images=40, repetitions=1):
    """Forty images of two arms; deletion like the others, so that the best map looks worst."""
    rows = []
    arms = ((cnn, "gradcam", "cnn"), ("deit_small_patch16_224", "attention", "transformer"))
    for backbone, method, family in arms:
        for name in (method, "random 3x3", "center"):
            for i, repetition in np.ndindex(images, repetitions):
                value = LEVELS[name] + (i * len(name) % 40 - 19.5) / 1000
                found = {
                    measure: value if (faithful if measure[0] in "d" else masked) else np.nan
                    for measure in MEASURES
                }
                found["insertion"] = value if faithful else np.nan
                rows.append(
                    {
                        "arm": f"{backbone} / random",
                        "backbone": backbone,
                        "initialization": "random",
                        "family": family,
                        "repetition": repetition + 1,
                        "method": name,
                        "noise": "random 3x3" if name == method else "",
                        "image": f"{i}.png",
                        "group": str(i),
                        "label": "nevus",
                        "answer": "nevus",
                        "probability": 0.9,
                        "lesion": 0.2 if masked else np.nan,
                        **found,
                        "entropy": 0.5,
                        "detail": 32.0,
                        "milliseconds": 4.0,
                    }
                )
    return pd.DataFrame(rows)


def sanity(cnn="resnet50"):
    """The CNN's map changes with the weights, the transformer's does not."""
    rows = [
        (f"{backbone} / random", 1, method, step, "head", f"{i}.png", 1 - step * fall)
        for backbone, method, fall in (
            (cnn, "gradcam", 0.45),
            ("deit_small_patch16_224", "attention", 0.02),
        )
        for step in range(3)
        for i in range(4)
    ]
    columns = ["arm", "repetition", "method", "step", "layers", "image", "correlation"]
    return pd.DataFrame(rows, columns=columns)


def shown(count=1, name="a.png", label="nevus", channels=3, masked=True):
    rng = np.random.default_rng(0)
    mask = np.zeros((24, 24), dtype=bool)
    mask[6:12, 6:18] = True
    heads = rng.random((3, 4, 4), dtype=np.float32)
    values = 7 * rng.random((3, 3), dtype=np.float32)
    maps = [
        ShownMap("resnet50 / random", "gradcam", label, 0.9, values, None),
        ShownMap("deit_small_patch16_224 / random", "attention", "x", 0.5, heads.mean(0), heads),
    ]
    pixels = np.full((24, 24, channels), 120, dtype=np.uint8)
    return [Shown(name, label, pixels, mask if masked else None, maps) for _ in range(count)]


@pytest.fixture
def folder(tmp_path):
    """What a study's explanations leave."""
    folder = tmp_path / "explanations"
    folder.mkdir()
    measures().to_parquet(folder / "measures.parquet")
    sanity().to_parquet(folder / "sanity.parquet")
    write_shown(shown(), folder / "shown.npz")
    return folder


def page(folder):
    return template("explanations.html.j2").render(explanations=section_of(folder))


class Text(HTMLParser):
    """Collects the text of a page outside of scripts, and the contents of its scripts."""

    def __init__(self, html):
        super().__init__()
        self.text, self.scripts, self.tag = "", [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tag = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.tag = ""

    def handle_data(self, data):
        if self.tag == "script":
            self.scripts[-1] += data
        elif self.tag != "style":
            self.text += data


def squeezed(html):
    return re.sub(r"\s+", " ", Text(html).text)


def test_without_measures_there_is_no_section(tmp_path):
    assert section_of(tmp_path) is None
    assert template("explanations.html.j2").render(explanations=None).strip() == ""


def test_the_section_says_what_was_measured(folder):
    text = squeezed(page(folder))
    assert "40 images with a mask of the lesion" in text
    for heading in (
        "Localization",
        "Faithfulness",
        "Transformer against CNN",
        "Sanity",
        "Resolution",
    ):
        assert heading in text
    assert "explanations/figure1.png and figure1.pdf in the study's folder" in text


def test_means_and_intervals(folder):
    row = next(row for row in section_of(folder)["located"] if row.method == "attention")
    assert [cell.text for cell in row.cells] == ["0.900"] * 4
    low, high = map(float, row.cells[0].interval.strip("[]").split(", "))
    assert 0.895 < low < 0.9 < high < 0.905


def test_maps_of_noise_say_how_coarse_they_are(folder):
    rows = [row.method for row in section_of(folder)["located"] if row.baseline]
    assert rows == ["random map, 3 x 3", "center of the image"] * 2


def test_it_is_said_what_intervals_count(folder):
    assert "of these trained models alone" in squeezed(page(folder))
    measures(repetitions=2).to_parquet(folder / "measures.parquet")
    assert "count repetitions (2 or more of each arm)" in squeezed(page(folder))


def test_from_few_patients_there_are_means_and_no_words(folder):
    measures(images=5).to_parquet(folder / "measures.parquet")
    found = section_of(folder)
    cells = [cell for name in ("located", "faithful") for row in found[name] for cell in row.cells]
    assert not any(cell.interval or cell.unbeaten for cell in cells)
    assert {row["p"] for row in found["paired"]} == {"-"}
    assert "5 patients or lesions are too few" in squeezed(page(folder))


def test_what_an_older_version_measured_is_not_shown(folder):
    measures().drop(columns=["noise", "family"]).to_parquet(folder / "measures.parquet")
    assert "measures them again" in squeezed(page(folder))
    assert "<table" not in page(folder)


def test_a_map_that_does_not_beat_the_center_is_marked(folder):
    rows = {row.method: row for row in section_of(folder)["located"] if not row.baseline}
    assert [cell.unbeaten for cell in rows["Grad-CAM"].cells] == ["center"] * 4
    assert [cell.unbeaten for cell in rows["attention"].cells] == [""] * 4
    assert "not shown to beat center" in page(folder)


def test_lower_is_better_for_deletion(folder):
    rows = {row.method: row for row in section_of(folder)["faithful"] if not row.baseline}
    assert [cell.unbeaten for cell in rows["Grad-CAM"].cells] == ["random", "center"]
    assert [cell.unbeaten for cell in rows["attention"].cells] == ["random, center", ""]


def test_a_method_that_fails_its_sanity_check_is_marked_in_words(folder):
    found = section_of(folder)
    assert [row.method for row in found["located"] if row.fails_sanity] == ["attention"]
    assert [row.method for row in found["faithful"] if row.fails_sanity] == ["attention"]
    assert page(folder).count("the map hardly changes when the weights are random") == 1


def test_transformers_are_compared_with_cnns(folder):
    pairs = {row["measure"]: row for row in section_of(folder)["paired"]}
    assert pairs["energy"]["difference"] == "+0.500"
    assert pairs["IoU"]["method"] == "attention"
    assert pairs["IoU"]["p"] == "< 0.001"


def test_without_masks_the_section_says_so(folder):
    measures(masked=False).to_parquet(folder / "measures.parquet")
    assert section_of(folder)["located"] == []
    assert "no image has a mask of its lesion" in squeezed(page(folder))


def test_deletion_and_insertion_may_not_have_been_measured(folder):
    measures(faithful=False).to_parquet(folder / "measures.parquet")
    assert section_of(folder)["faithful"] == []
    assert "deletion:" not in squeezed(page(folder))


def test_scores_are_drawn_by_measure_with_the_maps_that_know_nothing(folder):
    drawn = {svg.find("title").text: svg for svg in plots(page(folder))}
    assert list(drawn) == [
        f"{name} of maps"
        for name in ("pointing", "energy", "precision", "IoU", "deletion", "insertion")
    ]
    svg = drawn["energy of maps"]
    x = axis(svg, "x")
    table = method_table(measures())
    assert sorted(x(mark.x) for mark in marks(svg)) == pytest.approx(
        sorted(table["energy"]), abs=5e-3
    )
    assert {"Grad-CAM", "attention", "random map", "center of the image"} <= set(texts(svg))


def test_figure_one_is_in_the_page_and_opens_larger_by_the_keyboard(folder):
    write_shown(shown(count=10), folder / "shown.npz")
    html = page(folder)
    (button,) = re.findall(r'<button type="button" class="zoom".*?</button>', html, re.S)
    (uri,) = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', button)
    with Image.open(io.BytesIO(base64.b64decode(uri))) as picture:
        assert picture.height > 1000, "eight rows"
    assert len(uri) < 1_000_000
    assert 'alt="Test images in rows' in button


def test_maps_without_masks_or_faithfulness_have_figures_in_the_terminal(folder):
    console = Console(width=80, file=io.StringIO())
    found = Explained(measures(masked=False, faithful=False), sanity(), [])
    print_explanations(found, console)
    said = console.file.getvalue()
    for row in ("gradcam", "attention", "center"):
        assert re.search(rf"{row} .*0\.50 .*32", said), row
    assert re.search(r"attention .*0\.96\s+fails sanity", said)
    assert "Entropy: 1 is a map that is the same everywhere" in said


def test_sanity_and_pictures_may_be_absent(folder):
    (folder / "sanity.parquet").unlink()
    (folder / "shown.npz").unlink()
    html = page(folder)
    assert "<script" not in html
    assert "figure1" not in html
    assert "Sanity:" not in html


def test_hostile_names_stay_text(folder):
    measures(cnn=EVIL).to_parquet(folder / "measures.parquet")
    sanity(cnn=EVIL).to_parquet(folder / "sanity.parquet")
    write_shown(shown(name=EVIL, label=EVIL), folder / "shown.npz")
    parsed = Text(page(folder))
    assert len(parsed.scripts) == 2
    assert not any("alert('x')</" in script for script in parsed.scripts)
    assert EVIL in parsed.text
    data = json.loads(parsed.scripts[0])
    assert data["images"][0]["name"] == data["images"][0]["label"] == EVIL
    assert "innerHTML" not in parsed.scripts[1]


def test_the_section_fetches_nothing(folder):
    html = page(folder)
    assert "http:" not in html
    assert "https:" not in html
    assert "<noscript>" in html


@given(text=st.text())
def test_no_text_leaves_the_json(text):
    data = viewer_data(shown(label=text))
    assert not set("<>&\u2028\u2029") & set(data)
    assert json.loads(data)["images"][0]["label"] == text


@pytest.mark.parametrize("channels", [1, 3])
def test_values_come_back_within_quantization(channels):
    (image,) = shown(channels=channels)
    (found,) = json.loads(viewer_data([image]))["images"]
    for given_map, decoded in zip(image.maps, found["maps"], strict=True):
        layers = [given_map.values, *(() if given_map.heads is None else given_map.heads)]
        assert len(layers) == len(decoded["layers"])
        for values, layer in zip(layers, decoded["layers"], strict=True):
            raw = np.frombuffer(base64.b64decode(layer["values"]), np.uint8)
            back = raw.reshape(decoded["height"], decoded["width"]) / 255 * values.max()
            assert back == pytest.approx(values, abs=float(values.max()) / 509)
    assert [layer["name"] for layer in found["maps"][1]["layers"]] == [
        "all heads",
        "head 1",
        "head 2",
        "head 3",
    ]
    assert [decoded["wrong"] for decoded in found["maps"]] == [False, True]


def test_a_map_of_zeros_is_no_division_by_zero():
    (image,) = shown()
    image.maps[0].values[:] = 0
    found = json.loads(viewer_data([image]))["images"][0]["maps"][0]
    assert base64.b64decode(found["layers"][0]["values"]) == bytes(9)


def test_outlines_are_shares_of_the_side():
    (image,) = json.loads(viewer_data(shown()))["images"]
    points = np.reshape(image["outlines"][0], (-1, 2))
    assert points.min(axis=0).tolist() == [0.25, 0.25]
    assert points.max(axis=0).tolist() == [0.75, 0.5]
    (bare,) = json.loads(viewer_data(shown(masked=False)))["images"]
    assert bare["outlines"] == []


def test_pictures_are_small_jpegs():
    (image,) = shown()
    large = Shown("a", "b", np.full((900, 600, 1), 77, np.uint8), None, image.maps)
    (found,) = json.loads(viewer_data([large]))["images"]
    head, content = found["picture"].split(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
        assert max(picture.size) == 256
        assert picture.getpixel((9, 9)) == pytest.approx((77, 77, 77), abs=2)


def test_many_images_keep_the_page_small():
    assert len(viewer_data(shown(count=50))) < 200_000
