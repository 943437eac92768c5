import csv
import io
import zipfile

import numpy as np
import pytest
from PIL import Image as Pillow
from rich.console import Console

from vitrial.cli.sentences import report_problems
from vitrial.data.audit.checks import usable
from vitrial.data.sources import load_dataset
from vitrial.data.sources.csv import CsvData
from vitrial.data.sources.folder import FolderData
from vitrial.errors import DataError, Problem
from vitrial.protocol import Image

SMALL = Image(resize=16)


def picture(seed, form="PNG", mode="RGB"):
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    content = io.BytesIO()
    image = Pillow.fromarray(pixels)
    image = image.quantize(16) if mode == "P" else image.convert(mode)
    image.save(content, form)
    return content.getvalue()


def sixteen_bits():
    values = np.random.default_rng(0).integers(0, 65536, (20, 20), dtype=np.uint16)
    content = io.BytesIO()
    Pillow.fromarray(values).save(content, "PNG")
    return content.getvalue()


def one_pixel():
    content = io.BytesIO()
    Pillow.new("RGB", (1, 1)).save(content, "PNG")
    return content.getvalue()


SOUND = {f"{c}/{i}.png": picture(10 * i + len(c)) for c in ("cat", "horse") for i in range(4)}
PLANTED = {
    "cat/truncated.jpg": picture(1, "JPEG")[:400],
    "cat/text.png": b"this is a text",
    "horse/empty.png": b"",
    "horse/pixel.png": one_pixel(),
    "lonely/1.png": picture(2),
}
UNUSUAL = {
    "cat/cmyk.jpg": picture(6, "JPEG", "CMYK"),
    "cat/rgba.png": picture(4, mode="RGBA"),
    "horse/palette.png": picture(7, mode="P"),
    "horse/sixteen.png": sixteen_bits(),
}


@pytest.fixture
def planted(tmp_path):
    root = tmp_path / "planted"
    for name, content in (SOUND | PLANTED | UNUSUAL).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root / "hollow").mkdir()
    return root


def folder(root):
    return load_dataset(FolderData(source="folder", root=root))


def places(problems, *, fatal):
    return sorted(p.where for p in problems if p.fatal == fatal)


def test_planted_faults_are_all_told_at_once(planted, tmp_path):
    with pytest.raises(DataError, match="has 5 problems") as caught:
        usable(folder(planted), SMALL, tmp_path / "cache")
    problems = caught.value.problems
    faulty = sorted([*(set(PLANTED) - {"lonely/1.png"}), "class lonely"])
    assert places(problems, fatal=True) == faulty
    assert places(problems, fatal=False) == sorted([*UNUSUAL, "hollow"])
    assert all(p.what and p.fix for p in problems)


def test_faults_are_left_out_on_demand(planted, tmp_path):
    dataset, cache, problems, flow = usable(folder(planted), SMALL, tmp_path / "cache", "leave_out")
    assert dataset.classes == ["cat", "horse"]
    assert set(dataset.manifest["image"]) == set(SOUND | UNUSUAL)
    assert len(problems) == len(PLANTED) + len(UNUSUAL) + len(["hollow"])
    assert (flow.listed, flow.used) == (len(folder(planted).manifest), len(dataset.manifest))
    assert flow.left_out == {
        "cannot be decoded": 4,
        "of a class with too few patients or lesions": 1,
    }
    assert flow.joined == dataset.manifest["group"].nunique()
    # Rows and hashes are the images' own.
    by_row = cache.index.loc[dataset.manifest["row"]].reset_index(drop=True)
    assert by_row["image"].tolist() == dataset.manifest["image"].tolist()
    assert by_row["sha256"].tolist() == dataset.manifest["sha256"].tolist()
    assert dataset.manifest.index.tolist() == list(range(len(dataset.manifest)))


def test_planted_faults_of_a_table_are_all_told_at_once(planted, tmp_path):
    rows = [[name, name.split("/")[0], ""] for name in SOUND]
    faults = [
        [*rows[0]],  # row 10: repeats row 2
        ["/data/1.png", "cat", ""],
        ["../1.png", "cat", ""],
        ["cat/none.png", "cat", ""],
        ["cat/rgba.png", "NaN", ""],
        ["cat/text.png", "cat", ""],
    ]
    with (planted / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "label", "extra"], *rows, *faults])
    dataset = load_dataset(CsvData(source="csv", root=planted, table="t.csv"))
    with pytest.raises(DataError) as caught:
        usable(dataset, SMALL, tmp_path / "cache")
    told = [*(f"row {n} of t.csv" for n in range(10, 15)), "cat/text.png"]
    assert places(caught.value.problems, fatal=True) == sorted(told)


def test_a_sound_data_set_has_no_problem(tmp_path):
    with zipfile.ZipFile(tmp_path / "sound.zip", "w") as archive:
        for name, content in SOUND.items():
            archive.writestr(name, content)
    dataset, cache, problems, flow = usable(
        folder(tmp_path / "sound.zip"), SMALL, tmp_path / "cache"
    )
    assert problems == []
    assert (flow.listed, flow.refused, flow.left_out) == (len(SOUND), 0, {})
    assert cache.shape[0] == len(dataset.manifest) == len(SOUND)


def test_less_than_two_classes_are_refused(tmp_path):
    for i in range(4):
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "a" / f"{i}.png").write_bytes(picture(i))
    with pytest.raises(DataError, match="fewer than 2 classes"):
        usable(folder(tmp_path), SMALL, tmp_path / "cache", "leave_out")


PROBLEMS = [
    Problem("[bold]a[/bold].png", "is [red]odd[/red]", "look \x1b[31m at it", fatal=False),
    Problem("=HYPERLINK(1).png", "is damaged", "@fix"),
]


def printed(problems, path=None):
    console = Console(file=io.StringIO(), width=160)
    report_problems(problems, console, path)
    return console.file.getvalue()


def test_problems_are_printed_as_they_are_with_fatal_ones_first():
    text = printed(PROBLEMS)
    assert "[bold]a[/bold].png" in text
    assert "\x1b[31m" not in text
    assert text.index("is damaged") < text.index("is [red]odd")
    assert printed([]) == ""


def test_many_problems_are_shortened_but_none_hides_another(tmp_path):
    many = [Problem(f"{i}.png", "is in CMYK", "save it", fatal=False) for i in range(1000)]
    distinct = [Problem(f"row {i}", f"fault {word(i)}", "fix") for i in range(150)]
    text = printed([*many, *distinct], tmp_path / "problems.csv")
    assert f"fault {word(149)}" in text
    assert "and 997 more" in text
    assert text.count("is in CMYK") == 4
    with (tmp_path / "problems.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 1150
    assert "and 100 more rows of 300 problems" in printed(
        [Problem(f"row {i}", f"fault {word(i)}", "fix") for i in range(300)]
    )


def test_problems_that_differ_in_names_and_numbers_are_shown_as_one_kind():
    missing = [Problem(f"row {i}", f"names '{i}.png': 3 are near", "add it") for i in range(1000)]
    text = printed([*missing, Problem("row 7", "has no label", "fill it in")])
    assert text.count(".png") == 20
    assert "and 980 more" in text
    assert "has no label" in text


def word(i):
    """A word for a number: numbers alone make no other kind of problem."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(i))


def test_spreadsheets_calculate_nothing(tmp_path):
    names = ["=1+1", "+1", "-1", "@x", "\t=1", "plain", "undecodable \udce9"]
    printed([*PROBLEMS, *(Problem(n, "what", "fix") for n in names)], tmp_path / "problems.csv")
    with (tmp_path / "problems.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert not any(cell.startswith(tuple("=+-@\t")) for row in rows for cell in row.values())
    assert "plain" in {row["where"] for row in rows}
