from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from vitrial.explain.shown import Shown, ShownMap
from vitrial.report.figures.figure_one import (
    COLORS,
    DIM,
    STRENGTH,
    answer_in_words,
    figure_one,
    is_wrong,
    kept_patches,
    outline,
    overlay,
    write_figure_one,
)

CNN, VIT = "resnet50 / random", "deit_small_patch16_224 / imagenet"


def an_image(label="nevus", channels=3, masked=True, side=32):
    rng = np.random.default_rng(0)
    mask = np.zeros((side, side), dtype=bool)
    mask[4:12, 8:20] = True
    values = rng.random((4, 4), dtype=np.float32)
    heads = rng.random((3, 4, 4), dtype=np.float32)
    return Shown(
        image="images/a.png",
        label=label,
        pixels=rng.integers(0, 256, (side, side, channels), dtype=np.uint8),
        mask=mask if masked else None,
        maps=[
            ShownMap(CNN, "gradcam", "nevus", 0.834, values, None),
            ShownMap(VIT, "attention", "melanoma", 0.5, heads.mean(0), heads),
        ],
    )


def texts(figure):
    found = []
    for axes in figure.axes:
        found += [axes.get_title(), axes.get_xlabel(), axes.get_ylabel()]
        found += [text.get_text() for text in axes.texts]
    return [text for text in found if text]


def test_every_column_is_titled_and_every_answer_is_in_words():
    assert texts(figure_one([an_image()])) == [
        "image",
        "truth: nevus",
        "lesion",
        "resnet50\nrandom\nGrad-CAM",
        "says nevus, 0.83",
        "deit_small_patch16_224\nimagenet\nattention, top 50%",
        "wrong: says melanoma, 0.50",
    ]


def test_without_masks_there_is_no_column_for_the_lesion():
    figure = figure_one([an_image(masked=False)])
    assert len(figure.axes) == 3
    assert "lesion" not in texts(figure)


def test_an_image_without_a_mask_among_others_says_so():
    assert texts(figure_one([an_image(), an_image(masked=False)])).count("no mask") == 1


def test_nothing_is_wrong_where_the_label_is_unknown():
    image = an_image(label="")
    assert not any(is_wrong(found, image.label) for found in image.maps)
    assert answer_in_words(image.maps[1], image.label) == "says melanoma, 0.50"
    assert not any("truth" in text for text in texts(figure_one([image])))


def test_images_need_not_have_the_same_maps():
    first, second = an_image(), replace(an_image(), maps=[])
    figure = figure_one([first, second])
    assert len(figure.axes) == 8
    assert [len(axes.images) for axes in figure.axes] == [1, 1, 1, 1, 1, 1, 0, 0]


def test_the_figure_grows_with_its_rows_and_pictures_keep_their_size():
    short, tall = figure_one([an_image()]), figure_one([an_image()] * 8)
    sides = {
        tuple(np.round(axes.get_window_extent().size, 6))
        for figure in (short, tall)
        for axes in figure.axes
    }
    assert len(sides) == 1
    assert len(set(*sides)) == 1  # square
    assert tall.get_figheight() > 7 * short.get_figheight() / 2


def test_long_names_overlap_nothing():
    words = "a rather long name of a class that goes on and on"
    image = an_image(label=words)
    image = replace(image, maps=[replace(found, answer=words) for found in image.maps])
    figure = figure_one([image, image])
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    above, below = figure.axes[2], figure.axes[6]
    caption = above.xaxis.label.get_window_extent(renderer)
    assert caption.y0 > below.get_window_extent().y1
    assert above.title.get_window_extent(renderer).y1 < figure.bbox.y1
    assert figure.axes[0].yaxis.label.get_window_extent(renderer).x0 > 0


def test_files_are_the_same_for_the_same_input(tmp_path):
    images = [an_image(), an_image(channels=1)]
    first = write_figure_one(images, tmp_path / "a")
    second = write_figure_one(images, tmp_path / "b")
    assert [path.name for path in first] == ["figure1.png", "figure1.pdf"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "figure1.pdf",
        "figure1.png",
    ]
    pdf = first[1].read_bytes()
    assert b"CreationDate" not in pdf
    assert b"/CIDFontType2" in pdf  # TrueType, embedded
    assert b"/Type3" not in pdf
    with Image.open(first[0]) as png:
        assert png.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert matplotlib.rcParams["pdf.fonttype"] == matplotlib.rcParamsDefault["pdf.fonttype"]


def test_names_with_dollars_are_no_formulas(tmp_path):
    image = an_image(label=r"$\frac{1}$ & $x^$")
    maps = [
        replace(image.maps[0], arm=r"$\nonsense$ / $$", answer="_$^$"),
        replace(image.maps[1], method="$_$"),
    ]
    for path in write_figure_one([replace(image, maps=maps)], tmp_path):
        assert path.stat().st_size > 0


@pytest.mark.parametrize("channels", [1, 3])
def test_an_overlay_leaves_the_image_visible_where_the_map_is_low(channels):
    pixels = np.full((8, 8, channels), 51, dtype=np.uint8)
    values = np.array([[0, 5], [0, 5]], dtype=np.float32)
    drawn = overlay(pixels, values)
    assert drawn[:, 0] == pytest.approx(51 / 255)
    highest = STRENGTH * np.array(COLORS(1.0)[:3]) + (1 - STRENGTH) * 51 / 255
    assert drawn[:, -1] == pytest.approx(np.tile(highest, (8, 1)))


def test_an_overlay_of_zeros_is_the_image():
    pixels = np.full((8, 8, 1), 51, dtype=np.uint8)
    assert overlay(pixels, np.zeros((2, 2), np.float32)) == pytest.approx(51 / 255)


def test_an_overlay_is_bilinear():
    """Worked out by hand: samples lie in the middle of cells, and the border is continued."""
    drawn = overlay(np.zeros((4, 4, 1), np.uint8), np.array([[0, 1], [0, 1]], np.float32))
    heat = np.array([0, 0.25, 0.75, 1])
    expected = STRENGTH * heat[:, None] * COLORS(heat)[:, :3]
    assert drawn[2] == pytest.approx(expected)


def test_patches_that_hold_half_of_the_attention_stay_bright():
    pixels = np.full((6, 6, 3), 200, dtype=np.uint8)
    values = np.array([[0.6, 0.1], [0.1, 0.2]], dtype=np.float32)
    bright = np.zeros((6, 6), dtype=bool)
    bright[:3, :3] = True
    drawn = kept_patches(pixels, values)
    assert drawn[bright] == pytest.approx(200 / 255)
    assert drawn[~bright] == pytest.approx(DIM * 200 / 255)
    bright[3:, 3:] = True
    assert (kept_patches(pixels, values, 0.7)[..., 0] > 0.5).tolist() == bright.tolist()


@given(
    top=st.integers(0, 9),
    left=st.integers(0, 9),
    height=st.integers(1, 10),
    width=st.integers(1, 10),
)
def test_an_outline_is_closed_and_goes_around_its_rectangle(top, left, height, width):
    mask = np.zeros((10, 10), dtype=bool)
    mask[top : top + height, left : left + width] = True
    (line,) = outline(mask)
    rows, columns = np.nonzero(mask)
    assert (line[0] == line[-1]).all()
    assert line.min(axis=0).tolist() == [columns.min() - 0.5, rows.min() - 0.5]
    assert line.max(axis=0).tolist() == [columns.max() + 0.5, rows.max() + 0.5]


@pytest.mark.parametrize(("value", "lines"), [(False, 0), (True, 1)])
def test_an_empty_mask_has_no_outline_and_a_full_one_the_borders(value, lines):
    mask = np.full((32, 32), value)
    assert len(outline(mask)) == lines
    figure_one([replace(an_image(), mask=mask)])
