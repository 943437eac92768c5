"""File names that are no UTF-8: a problem with the name spelled out, and never a traceback."""

import io
import os
import sys

import numpy as np
import pytest
from PIL import Image as Pillow
from typer.testing import CliRunner

from vitrial.cli import app
from vitrial.data.audit.record import read_audit
from vitrial.data.sources import load_dataset
from vitrial.data.sources.folder import FolderData
from vitrial.data.sources.ham10000 import Ham10000Data
from vitrial.errors import Problem

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode elsewhere")
LATIN = "caf\udce9"
"""What Python makes of the bytes of `café` in Latin-1."""


def png(seed):
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    content = io.BytesIO()
    Pillow.fromarray(coarse).resize((20, 20), Pillow.Resampling.BICUBIC).save(content, "PNG")
    return content.getvalue()


def write(root, names):
    for i, name in enumerate(names):
        path = root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(i))
        except OSError:
            pytest.skip("this file system takes no such names")
    return root


SOUND = [f"{c}/{i}.png" for c in "ab" for i in range(4)]


def check(root, out, source="folder"):
    arguments = ["data", "audit", source, "--root", os.fspath(root), "--out", os.fspath(out)]
    result = CliRunner().invoke(app, [*arguments, "--cache", os.fspath(out / "cache")])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.mark.parametrize(
    "name", [f"a/{LATIN}.png", f"a/{LATIN}.txt", f"{LATIN}/1.png", f"a/{LATIN}/1.png"]
)
def test_a_name_is_told_escaped_in_all_that_is_written(name, tmp_path):
    root = write(tmp_path / "set", [*SOUND, name])
    result = check(root, tmp_path / "out")
    assert result.exit_code == (0 if name.endswith(".txt") else 1), result.output
    shown = name.replace("\udce9", "\\udce9")
    audit = read_audit(tmp_path / "out")
    assert shown in {problem.where for problem in audit.problems}
    assert set(audit.images["image"]) == set(SOUND)
    for file in ("problems.csv", "index.html", "audit.json"):
        text = (tmp_path / "out" / file).read_text(encoding="utf-8")
        assert shown in text.replace("\\\\", "\\"), file


def test_the_name_of_the_root(tmp_path):
    root = write(tmp_path / LATIN, SOUND)
    assert check(root, tmp_path / "out").exit_code == 0
    assert load_dataset(FolderData(source="folder", root=root)).name == "caf\\udce9"


def test_images_of_a_table_below_such_a_folder(tmp_path):
    ids = [f"ISIC_{i}" for i in range(6)]
    write(tmp_path, [f"images/{name}.jpg" for name in ids[:5]] + [f"{LATIN}/{ids[5]}.jpg"])
    write(tmp_path, [f"{LATIN}/{ids[0]}_segmentation.png"])
    rows = [f"L{i},{name},{'nv' if i % 2 else 'mel'},x,,,\n" for i, name in enumerate(ids)]
    header = "lesion_id,image_id,dx,dx_type,age,sex,localization\n"
    (tmp_path / "HAM10000_metadata.csv").write_text(header + "".join(rows))
    dataset = load_dataset(Ham10000Data(source="ham10000", root=tmp_path))
    assert dataset.manifest["image"].tolist() == [f"images/{name}.jpg" for name in ids[:5]]
    assert dataset.manifest["mask"].isna().all()
    told = {problem.where: problem.what for problem in dataset.problems if problem.fatal}
    assert "not UTF-8" in told[f"caf\\udce9/{ids[5]}.jpg"]
    assert "not UTF-8" in told[f"caf\\udce9/{ids[0]}_segmentation.png"]
    assert f"names {ids[5]}, which is not found" in told["row 7 of HAM10000_metadata.csv"]


def test_the_texts_of_a_problem_can_always_be_written():
    problem = Problem(LATIN, f"is {LATIN}", f"rename {LATIN}")
    for text in (problem.where, problem.what, problem.fix):
        assert "caf\\udce9" in text
        text.encode()
