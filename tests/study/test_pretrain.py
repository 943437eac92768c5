"""`vitrial pretrain`: images without labels in, weights out."""

import json

import numpy as np
import pytest
import timm
import torch
from PIL import Image as Picture
from safetensors.torch import load_file
from typer.testing import CliRunner

from vitrial.cli import app

OPTIONS = ["--backbone", "test_resnet", "--epochs", "2", "--batch-size", "8", "--crop", "32"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VITRIAL_CACHE", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    (tmp_path / "images" / "any").mkdir(parents=True)
    for i in range(17):
        pixels = random.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Picture.fromarray(pixels).save(tmp_path / "images" / "any" / f"{i}.png")
    return tmp_path


def pretrain(folder, *options, out="out"):
    arguments = ["pretrain", "--data", str(folder / "images"), "--out", str(folder / out)]
    return CliRunner().invoke(app, [*arguments, *OPTIONS, *options])


def sentence(result):
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    return " ".join(result.output.split())


@pytest.mark.slow
@pytest.mark.parametrize("method", ["dino", "byol"])
def test_weights_that_timm_loads_and_the_same_bits_again(folder, method):
    result = pretrain(folder, "--method", method)
    assert result.exit_code == 0, result.output
    file = folder / "out" / "weights.safetensors"
    assert timm.create_model("test_resnet", num_classes=0, checkpoint_path=str(file))
    lines = (folder / "out" / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert "knn" not in rows[-1]

    assert pretrain(folder, "--method", method, out="again").exit_code == 0
    first, second = (load_file(folder / o / "weights.safetensors") for o in ("out", "again"))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_a_folder_is_never_used_for_another_recipe(folder):
    assert pretrain(folder).exit_code == 0
    before = (folder / "out" / "weights.safetensors").stat().st_mtime_ns
    assert pretrain(folder).exit_code == 0
    assert (folder / "out" / "weights.safetensors").stat().st_mtime_ns == before
    assert "holds the result of another recipe" in sentence(pretrain(folder, "--seed", "1"))


def test_what_is_wrong_is_a_sentence(folder):
    assert "The method must be byol or dino, not 'dno'" in sentence(
        pretrain(folder, "--method", "dno")
    )
    assert "The start must be random, imagenet" in sentence(
        pretrain(folder, "--start", "random+dino")
    )
    assert "timm has no backbone 'resnet10'" in sentence(pretrain(folder, "--backbone", "resnet10"))
    assert "takes no images of a crop of 40 pixels: 32 or 48 would do" in sentence(
        pretrain(folder, "--backbone", "xcit_nano_12_p16_224", "--crop", "40")
    )
    assert "The weights of test_resnet are not at" in sentence(
        pretrain(folder, "--start", "file:nowhere.pth")
    )
    assert not (folder / "cache").exists()
    for image in (folder / "images").rglob("*.png"):
        image.unlink()
    assert "There is no image below" in sentence(pretrain(folder))
