"""One entry more in each registry works everywhere, and no other file is touched.

Files are written to a folder that stands beside the package's own, or to a copy of the package.
"""

import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import timm
import torch
import yaml
from PIL import Image
from typer.testing import CliRunner

import vitrial
from vitrial import metrics
from vitrial.cli import app
from vitrial.compare.predictions import compare_predictions
from vitrial.compare.table import caption
from vitrial.data.sources import load_dataset
from vitrial.errors import VitrialError
from vitrial.explain.maps import explain_images, fitting_methods, note_on
from vitrial.metrics import METRICS
from vitrial.metrics.metric import Metric, OfConfusion
from vitrial.protocol import Protocol
from vitrial.protocol.file import load_protocol, protocol_text
from vitrial.protocol.one_line import named_data
from vitrial.report.figures.figure_one import method_in_words

SMALL = {
    "name": "trial",
    "data": {"source": "phantom"},
    "arms": [{"backbone": "resnet10t"}],
    "endpoint": "accuracy",
}


@pytest.fixture
def add(tmp_path, monkeypatch):
    """Puts a file beside those of a package."""

    def add(package, name, content):
        folder = tmp_path / package
        folder.mkdir()
        (folder / f"{name}.py").write_text(content)
        home = import_module(package)
        monkeypatch.setattr(home, "__path__", [*home.__path__, str(folder)])
        return folder / f"{name}.py"

    yield add
    for name in [name for name in sys.modules if name.endswith(".mine")]:
        del sys.modules[name]


def test_a_metric(monkeypatch):
    def predicted_right(targets, logits, weights=None):
        return float(np.average(logits.argmax(axis=1) == targets, weights=weights))

    form = OfConfusion(metrics.accuracy_of_confusion)
    mine = Metric("mine", "my metric", predicted_right, form, short="m", chance=lambda classes: 0.1)
    monkeypatch.setitem(METRICS, "mine", mine)
    monkeypatch.setitem(metrics.ENDPOINTS, "mine", mine)
    assert Protocol.model_validate(SMALL | {"endpoint": "mine"}).endpoint == "mine"
    with pytest.raises(ValueError, match="or 'mine'"):
        Protocol.model_validate(SMALL | {"endpoint": "nine"})
    assert "my metric" in caption("data", "mine", 2)
    assert "chance is 0.100" in caption("data", "mine", 2)
    random = np.random.default_rng(0)
    tables = [
        pd.DataFrame({"image": range(40), "target": np.arange(40) % 2, "score": random.random(40)})
        for _ in range(2)
    ]
    found = compare_predictions(tables[:1], tables[1:], endpoint="m", margin=0.1)
    assert found.endpoint == "mine"
    assert found.low < found.difference < found.high


SOURCE = '''
from typing import ClassVar, Literal

import numpy as np
import pandas as pd

from vitrial.data.about import About
from vitrial.data.io.files import Files
from vitrial.data.manifest import Dataset
from vitrial.protocol.data import DataSection
from vitrial.protocol.section import AbsolutePath

ABOUT = About("Mine: images of my own", "none", "my disk", "all of them in root", "a few")


class MineData(DataSection):
    """Mine."""

    source: Literal["mine"]
    root: AbsolutePath
    part: Literal["left", "right"] = "left"

    first_key: ClassVar[str | None] = "part"
    known_classes: ClassVar[bool] = True

    def unordered(self) -> str:
        return "sides"


DATA = MineData


def load(data):
    files = Files(data.root)
    rows = [{"image": name, "label": name[0], "group": name} for name in files.names()]
    return Dataset("mine", pd.DataFrame(rows), ["a", "b"], files)
'''


def test_a_data_set(add, tmp_path):
    add("vitrial.data.sources", "mine", SOURCE)
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a1", "a2", "b1", "b2"):
        Image.new("L", (40, 40), 9).save(images / f"{name}.png")
    data, _, _ = named_data("mine:right", images)
    assert data.part == "right"
    assert load_dataset(data).manifest["label"].tolist() == ["a", "a", "b", "b"]

    section = {"source": "mine", "root": str(images)}
    protocol = Protocol.model_validate(SMALL | {"data": section})
    assert protocol.data.part == "left"
    again = tmp_path / "again.yaml"
    again.write_text(protocol_text(protocol))
    assert load_protocol(again, build=False) == protocol

    wrong = SMALL | {"data": section | {"prt": "left"}, "endpoint": "quadratic_kappa"}
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    with pytest.raises(VitrialError) as refused:
        load_protocol(tmp_path / "wrong.yaml", build=False)
    assert "data.prt: unknown key, did you mean part?" in str(refused.value)
    with pytest.raises(ValueError, match="sides have none"):
        Protocol.model_validate(SMALL | {"data": section, "endpoint": "quadratic_kappa"})

    told = CliRunner().invoke(app, ["data", "info", "mine"]).output
    assert "Mine: images of my own" in told
    assert "part: left  # left or right" in told
    assert "mine" in CliRunner().invoke(app, ["data", "info"]).output


def test_a_data_set_whose_configuration_has_another_name_is_refused_with_its_file(add):
    path = add("vitrial.data.sources", "mine", SOURCE.replace('Literal["mine"]', 'Literal["my"]'))
    with pytest.raises(
        VitrialError, match=r"MineData has to have `source: Literal\['mine'\]`"
    ) as e:
        Protocol.model_validate(SMALL | {"data": {"source": "mine", "root": "."}})
    assert str(path) in str(e.value)


METHOD = """
LABEL, SUMMARY, FAMILIES = "my map", "Where it is bright.", frozenset({"cnn"})
VERSION, ORDER = 1, 15


def maps(model, images, target=None):
    return images.abs().mean(dim=1), model(images)


def note(model):
    return "Mine."
"""


def test_a_method_of_explanation(add):
    add("vitrial.explain.methods", "mine", METHOD)
    images = torch.rand(2, 3, 64, 64)
    cnn = timm.create_model("resnet10t", num_classes=3)
    found = explain_images(cnn, images, "mine")
    np.testing.assert_allclose(found.values, images.abs().mean(dim=1), rtol=1e-6)
    assert found.note == note_on(cnn, "mine") == "Mine."
    assert list(fitting_methods(cnn, images))[:2] == ["gradcam", "mine"]
    vit = timm.create_model("test_vit", num_classes=3, img_size=64)
    assert "mine" not in fitting_methods(vit, images)
    assert method_in_words("mine") == "my map"


RECIPE = '''
from vitrial.protocol.selfsupervision import SelfSupervision, TwoViews, View


class Mine(SelfSupervision):
    """Mine."""

    views: TwoViews = (View(), View())
    hidden_dim: int = 8
    output_dim: int = 4


RECIPE = Mine
'''
NETWORK = '''
from vitrial.train.selfsupervised.methods.byol.network import Byol


class Mine(Byol):
    """Learns what BYOL does."""


NETWORK = Mine
'''


def test_a_method_of_self_supervision(tmp_path):
    source = Path(vitrial.__file__).parent
    package = tmp_path / "vitrial"
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__"))
    entry = package / "train" / "selfsupervised" / "methods" / "mine"
    entry.mkdir()
    (entry / "__init__.py").write_text("")
    (entry / "recipe.py").write_text(RECIPE)
    (entry / "network.py").write_text(NETWORK)
    arm = {"backbone": "test_efficientnet", "initialization": "random+mine"}
    mine = {"epochs": 1, "warmup_epochs": 0, "hidden_dim": 16}
    trial = SMALL | {"arms": [arm], "mine": mine, "unlabeled": "images"}
    (tmp_path / "trial.yaml").write_text(yaml.safe_dump(trial))
    (tmp_path / "images").mkdir()
    for i in range(6):
        pixels = np.random.default_rng(i).integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{i}.png")

    code = """
import sys
from pathlib import Path
from typer.testing import CliRunner
import vitrial
from vitrial.cli import app
from vitrial.protocol.file import load_protocol
from vitrial.store.run_folder import RunFolder
from vitrial.study.plan import plan

assert vitrial.__file__.startswith(sys.argv[1])
root = sys.argv[1]
protocol = load_protocol(root + "/trial.yaml")
stage = plan(protocol, {"data": "d", "unlabeled": "u"})[0]
assert (stage.kind, stage.recipe.hidden_dim) == ("selfsupervise", 16)
command = f"pretrain --data {root}/images --out {root}/out --cache {root}/cache"
command += " --backbone test_efficientnet --method mine --epochs 1 --batch-size 3 --crop 32"
ended = CliRunner().invoke(app, command.split())
assert ended.exit_code == 0, f"{ended.output} {ended.exception}"
recipe = RunFolder(Path(root) / "out").stage().recipe
assert type(recipe).__name__ == "Mine", "as BYOL's, whose keys are the same"
"""
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={
            "PYTHONPATH": str(tmp_path),
            "PATH": "",
            "HOME": str(tmp_path),
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out" / "weights.safetensors").exists()
