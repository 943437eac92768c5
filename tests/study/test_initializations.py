"""Every initialization through a whole study, without network."""

import hashlib
import json

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from vitrial.errors import VitrialError
from vitrial.protocol.file import load_protocol
from vitrial.report.page import write_report
from vitrial.study.execute import run
from vitrial.study.tune import tune_rates

LADDER = """
name: ladder
data: {source: phantom, patients: 40, size: 40}
image: {resize: 40}
augment: {crop: 32}
arms:
  - backbone: resnet10t
    initialization: [random, imagenet, imagenet+byol, "file:mine.pth+dino"]
recipe: {batch_size: 16, warmup_steps: 1, epochs: 1}
dino:
  {epochs: 1, warmup_epochs: 0, batch_size: 16, hidden_dim: 32, output_dim: 32, momentum: 1.0,
   local_views: {size: 32, count: 1}}
byol: {epochs: 1, warmup_epochs: 0, batch_size: 16, hidden_dim: 32, output_dim: 32}
endpoint: balanced_accuracy
repetitions: 1
"""


def state_of(seed):
    torch.manual_seed(seed)
    state = timm.create_model("resnet10t").state_dict()
    return {name: tensor.contiguous() for name, tensor in state.items()}


@pytest.mark.parametrize("carry_out", [run, tune_rates])
def test_backbones_that_cannot_take_the_images_are_refused_at_once_and_unread(
    tmp_path, monkeypatch, carry_out
):
    (tmp_path / "ladder.yaml").write_text(
        LADDER.replace("resnet10t", "[resnet10t, crossvit_tiny_240, xcit_nano_12_p16_224]")
        .replace('[random, imagenet, imagenet+byol, "file:mine.pth+dino"]', "random")
        .replace("crop: 32", "crop: 40")
    )
    for module in ("execute", "tune"):
        monkeypatch.setattr(f"vitrial.study.{module}.prepare_datasets", None)
    with pytest.raises(
        VitrialError, match=r"(?s)crossvit_tiny_240 takes no .* xcit_nano\w* takes no"
    ):
        carry_out(load_protocol(tmp_path / "ladder.yaml"), out=tmp_path / "study")


@pytest.mark.slow
def test_weights_from_files_and_what_is_said_without_them(tmp_path, pixel_caches, monkeypatch):
    monkeypatch.setenv("VITRIAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "ladder.yaml").write_text(LADDER)
    torch.save(state_of(1), tmp_path / "mine.pth")
    protocol = load_protocol(tmp_path / "ladder.yaml")

    wanted = tmp_path / "cache" / "weights" / "resnet10t.c3_in1k.safetensors"
    with pytest.raises(VitrialError, match="cannot be run yet") as refusal:
        run(protocol, tmp_path / "study", cache=pixel_caches)
    assert f"put it at {wanted}" in str(refusal.value)

    study = run(protocol, tmp_path / "study", cache=pixel_caches, skip_missing=True)
    status = study.status().set_index("name")
    assert status.loc["resnet10t / random, repetition 1", "status"] == "done"
    assert status.loc["resnet10t / file:mine.pth+dino, repetition 1", "status"] == "done"
    for skipped in ("resnet10t / imagenet", "resnet10t / imagenet+byol"):
        assert status.loc[skipped, "status"] == "skipped"
        assert f"put it at {wanted}" in status.loc[skipped, "why"]
    assert "skipped: resnet10t / imagenet, resnet10t / imagenet+byol" in study.caption()

    wanted.parent.mkdir(parents=True)
    save_file(state_of(2), wanted)
    again = run(protocol, tmp_path / "study", cache=pixel_caches)
    assert (again.status()["status"] == "done").all()

    rows = again.table().set_index("initialization")
    shown = ["c3_in1k", "c3_in1k", "mine.pth"]
    assert (
        rows.loc[["imagenet", "imagenet+byol", "file:mine.pth+dino"], "weights"].tolist() == shown
    )
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    (folder,) = (study.path / "runs").glob("resnet10t-imagenet-1-*/result.json")
    record = {"tag": "c3_in1k", "file": "resnet10t.c3_in1k", "sha256": digest}
    assert json.loads(folder.read_text())["weights"] == record
    assert (rows.loc[["random", "imagenet"], "pretraining_minutes"] == 0).all()
    assert (rows.loc[["imagenet+byol", "file:mine.pth+dino"], "pretraining_minutes"] > 0).all()
    page = write_report(again).read_text(encoding="utf-8")
    assert "<td>c3_in1k</td>" in page

    # With momentum 1 the teacher stays where it started: at the file's weights.
    (teacher,) = (study.path / "pretrained").glob("*+dino-*/weights.safetensors")
    found, given = load_file(teacher), state_of(1)
    assert torch.equal(found["layer3.0.conv1.weight"], given["layer3.0.conv1.weight"])
    assert not any(name.startswith("fc.") for name in found)
