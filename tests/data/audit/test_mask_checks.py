import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from vitrial.data.audit import mask_checks
from vitrial.data.audit.audit import audit_dataset
from vitrial.data.audit.checks import usable
from vitrial.data.io.masks import is_resized
from vitrial.data.sources import load_dataset
from vitrial.data.sources.csv import CsvData
from vitrial.errors import DataError
from vitrial.protocol import Image

SMALL = Image(resize=16)


def picture(seed, size=(40, 40), **options):
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return saved(Pillow.fromarray(coarse).resize(size, Pillow.Resampling.BICUBIC), **options)


def saved(image, form="PNG", **options):
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def mask(size, box=(2, 3, 9, 11)):
    image = Pillow.new("L", size)
    if box:
        image.paste(255, box)
    return saved(image)


def dataset(root, masks, images=None, **more):
    """Images a0 to b3 of 40 x 40 pixels with sound masks, but for those given."""
    rows = ["image,label,mask"]
    for i, name in enumerate(f"{c}{k}" for c in "ab" for k in range(4)):
        (root / f"{name}.png").write_bytes((images or {}).get(name) or picture(i))
        (root / f"{name}-mask.png").write_bytes(masks.get(name, mask((40, 40))))
        rows.append(f"{name}.png,{name[0]},{name}-mask.png")
    (root / "t.csv").write_text("\n".join(rows))
    return load_dataset(CsvData(source="csv", root=root, table="t.csv", mask="mask", **more))


def problems(root, masks, images=None):
    found = audit_dataset(dataset(root, masks, images), SMALL, root / "cache").problems
    return {problem.where: (problem.what, problem.fatal) for problem in found}


def test_sound_masks_of_any_resolution_are_not_accused(tmp_path):
    assert problems(tmp_path, {"a1": mask((20, 20)), "b1": mask((97, 97))}) == {}


@pytest.mark.parametrize(
    ("content", "words", "fatal"),
    [
        (mask((17, 93)), "'a1-mask.png' has 17 x 93 pixels, the image 40 x 40", True),
        (mask((40, 40))[:60], "cannot be used", True),
        (b"", "cannot be used", True),
        (b"text", "cannot be used", True),
        (mask((40, 40), None), "empty mask", False),
        (mask((40, 40), (0, 0, 40, 40)), "covers more than 99% of it", False),
    ],
)
def test_a_mask_with_a_fault_is_a_problem_of_its_image(content, words, fatal, tmp_path):
    ((where, (what, is_fatal)),) = problems(tmp_path, {"a1": content}).items()
    assert where == "a1.png"
    assert words in what
    assert is_fatal == fatal


def test_a_faulty_mask_stops_a_study_or_is_left_out_and_its_image_stays(tmp_path):
    data = dataset(tmp_path, {"a1": mask((17, 93)), "b1": b"", "b2": mask((40, 40), None)})
    with pytest.raises(DataError, match="has 2 problems"):
        usable(data, SMALL, tmp_path / "cache")
    kept, *_ = usable(data, SMALL, tmp_path / "cache", "leave_out")
    masks = kept.manifest.set_index("image")["mask"]
    assert len(masks) == 8
    assert set(masks.index[masks.isna()]) == {"a1.png", "b1.png"}


def test_a_mask_is_compared_with_the_image_as_it_is_shown(tmp_path):
    exif = Pillow.Exif()
    exif[0x0112] = 6
    images = {name: picture(9 + ord(name[0]), (60, 40), exif=exif) for name in ("a1", "b1")}
    found = problems(tmp_path, {"a1": mask((40, 60)), "b1": mask((60, 40))}, images)
    shapes = {where for where, (what, _) in found.items() if "another shape" in what}
    assert shapes == {"b1.png"}


def test_masks_are_read_once(tmp_path, monkeypatch):
    data = dataset(tmp_path, {"a1": mask((17, 93))})
    first = audit_dataset(data, SMALL, tmp_path / "cache").problems
    monkeypatch.setattr(mask_checks, "check_mask", None)
    assert audit_dataset(data, SMALL, tmp_path / "cache").problems == first
    (tmp_path / "a1-mask.png").write_bytes(mask((40, 40), (0, 0, 5, 5)))
    with pytest.raises(TypeError):
        audit_dataset(data, SMALL, tmp_path / "cache")


def test_images_without_masks_are_let_alone(tmp_path):
    data = dataset(tmp_path, {})
    table = pd.read_csv(tmp_path / "t.csv")
    table.loc[3:, "mask"] = None
    table.to_csv(tmp_path / "t.csv", index=False)
    data = load_dataset(CsvData(source="csv", root=tmp_path, table="t.csv", mask="mask"))
    assert audit_dataset(data, SMALL, tmp_path / "cache").problems == []


sides = st.integers(1, 3000)


@given(sides, sides, st.floats(0.05, 8))
def test_an_image_resized_and_rounded_keeps_its_shape(width, height, scale):
    mask = (max(1, round(scale * width)), max(1, round(scale * height)))
    assert is_resized(mask, (width, height))


@pytest.mark.parametrize("size", [(17, 93), (30, 40), (400, 300), (200, 150)])
def test_another_shape_is_another_shape(size):
    assert not is_resized(size, (100, 100))
    assert not is_resized(size, size[::-1])
