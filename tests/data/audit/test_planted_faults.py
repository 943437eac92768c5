"""2,000 sound images and 50 planted faults: each is found, and no sound image is accused."""

import csv
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow

from vitrial.data.audit.audit import audit_dataset
from vitrial.data.audit.problems import write_problems
from vitrial.data.sources import load_dataset
from vitrial.data.sources.folder import FolderData
from vitrial.protocol import Image
from vitrial.report.audit import write_page

SOUND = 2000
CLASSES = ("benign", "malignant", "normal")
SIDE = 48


def smooth(seed, size=(SIDE, SIDE)):
    """A picture that resembles no other: a few soft blobs of color."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Pillow.fromarray(coarse).resize(size, Pillow.Resampling.BICUBIC)


def saved(image, form="PNG", **options):
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def bomb():
    """A PNG of 76 bytes that claims 60,000 x 60,000 pixels."""

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    )


def rotated(seed):
    exif = Pillow.Exif()
    exif[0x0112] = 6
    return saved(smooth(seed), "JPEG", exif=exif)


def twelve_bits(seed):
    values = np.random.default_rng(seed).integers(0, 4096, (SIDE, SIDE), dtype=np.uint16)
    return saved(Pillow.fromarray(values))


def animated(seed):
    return saved(smooth(seed), "GIF", save_all=True, append_images=[smooth(seed + 1)])


MADE = {  # kind: (how many, suffix, content by seed, whether it cannot be used)
    "truncated": (4, "jpg", lambda seed: saved(smooth(seed), "JPEG")[:500], True),
    "empty": (4, "png", lambda seed: b"", True),
    "text": (4, "png", lambda seed: b"patient,label\n1,benign\n", True),
    "pixel": (3, "png", lambda seed: saved(smooth(seed, (1, 1))), True),
    "bomb": (2, "png", lambda seed: bomb(), True),
    "twelve-bits": (3, "png", twelve_bits, False),
    "cmyk": (3, "jpg", lambda seed: saved(smooth(seed).convert("CMYK"), "JPEG"), False),
    "palette": (3, "png", lambda seed: saved(smooth(seed).quantize(64)), False),
    "alpha": (3, "png", lambda seed: saved(smooth(seed).convert("RGBA")), False),
    "rotated": (3, "jpg", rotated, False),
    "animated": (2, "gif", animated, False),
    "black": (3, "png", lambda seed: saved(Pillow.new("RGB", (SIDE, SIDE))), False),
    "huge": (1, "png", lambda seed: saved(smooth(seed, (480, 480))), False),
    "strip": (1, "png", lambda seed: saved(smooth(seed, (288, 16))), False),
}


def fill(root):
    """Write the folder.

    Returns:
        For each planted place whether it is fatal, and the sound images that have a planted copy.
    """
    sound = [f"{CLASSES[i % 3]}/{i:04}.png" for i in range(SOUND)]
    files = {name: saved(smooth(i)) for i, name in enumerate(sound)}
    planted = {}
    for number, (kind, (count, suffix, content, fatal)) in enumerate(MADE.items()):
        for k in range(count):
            name = f"{CLASSES[k % 3]}/{kind}-{k}.{suffix}"
            files[name] = content(10_000 + 10 * number + k)
            planted[name] = fatal
    originals = sound[100:108]
    for k, name in enumerate(originals):
        other = CLASSES[(CLASSES.index(name.split("/")[0]) + 1) % 3]
        copy = f"{other}/copy-{k}.{'png' if k < 4 else 'jpg'}"
        again = saved(Pillow.open(io.BytesIO(files[name])), "JPEG", quality=90)
        files[copy] = files[name] if k < 4 else again
        planted[copy] = False
    files |= {"=cmd|calc.png": b"not below a class", "normal/notes.txt": b"notes"}
    files |= {f"lonely/{k}.png": saved(smooth(20_000 + k)) for k in range(2)}
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root / "hollow").mkdir()
    outside = root.parent / "outside.png"
    outside.write_bytes(saved(smooth(30_000)))
    (root / "normal" / "link.png").symlink_to(outside)
    planted |= {"=cmd|calc.png": True, "normal/notes.txt": False, "normal/link.png": True}
    planted |= {"class lonely": True, "hollow": False}
    return planted, originals


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    planted, originals = fill(folder / "images")
    dataset = load_dataset(FolderData(source="folder", root=folder / "images"))
    return planted, originals, audit_dataset(dataset, Image(resize=SIDE), folder / "cache")


def accused(problems):
    """Every place that a problem names."""
    return {name for problem in problems for name in problem.where.split(", ")}


def test_every_planted_fault_is_found_and_no_sound_image_accused(audited):
    planted, originals, audit = audited
    fatal = accused(p for p in audit.problems if p.fatal)
    found = accused(audit.problems)
    wrong = found - set(planted) - set(originals)
    print(f"{len(set(planted) & found)} of {len(planted)} planted faults of {len(MADE) + 7} kinds")
    print(f"{len(wrong)} of {SOUND - len(originals)} sound images without a copy accused")
    assert len(planted) >= 50
    assert set(planted) <= found
    assert not wrong
    assert fatal == {name for name, is_fatal in planted.items() if is_fatal}


def test_copies_in_another_class_are_told_with_both_labels(audited):
    _, originals, audit = audited
    pairs = [p for p in audit.problems if accused([p]) & set(originals)]
    assert len(pairs) == len(originals)
    for problem in pairs:
        names = problem.where.split(", ")
        assert len(names) == 2
        assert all(name.split("/")[0] in problem.what for name in names)
        groups = audit.images.set_index("image").loc[names, "group"]
        assert groups.nunique() == 1, "copies must not be parted by a split"


def test_nothing_is_taken_for_a_shortcut(audited):
    assert not any(shortcut.suspicious for shortcut in audited[2].shortcuts)
    assert len(audited[2].shortcuts) == 4


def test_the_list_and_the_page_name_them_all_and_calculate_nothing(audited, tmp_path):
    planted, _, audit = audited
    write_problems(audit.problems, tmp_path / "problems.csv")
    with (tmp_path / "problems.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    listed = {name for row in rows for name in row["where"].split(", ")}
    assert "'=cmd|calc.png" in listed
    assert set(planted) - {"=cmd|calc.png"} <= listed
    assert not any(cell.startswith(tuple("=+-@")) for row in rows for cell in row.values())
    page = write_page(audit, tmp_path).read_text(encoding="utf-8")
    assert all(name in page for name in planted)
    assert "://" not in page
