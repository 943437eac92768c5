"""Every initialisation through a whole study, without network."""

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from vitrial.errors import VitrialError
from vitrial.protocol.file import load_protocol
from vitrial.study.execute import run

LADDER = """
name: ladder
data: {source: phantom, patients: 40, size: 40}
image: {resize: 40}
augment: {crop: 32}
arms:
  - backbone: resnet10t
    initialisation: [random, imagenet, imagenet+byol, "file:mine.pth+dino"]
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

    # With momentum 1 the teacher stays where it started: at the file's weights.
    (teacher,) = (study.path / "pretrained").glob("*+dino-*/weights.safetensors")
    found, given = load_file(teacher), state_of(1)
    assert torch.equal(found["layer3.0.conv1.weight"], given["layer3.0.conv1.weight"])
    assert not any(name.startswith("fc.") for name in found)
