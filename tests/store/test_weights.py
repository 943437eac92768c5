"""Weights leave as files that timm alone can load."""

import json
import re

import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from vitrial.errors import VitrialError
from vitrial.evaluate.predict import CentralView
from vitrial.models.backbone import build_backbone
from vitrial.protocol.file import load_protocol
from vitrial.store.weights import export_weights
from vitrial.study.datasets import prepare_datasets
from vitrial.study.execute import run

TINY = """
name: tiny
data: {source: phantom, patients: 40, size: 40}
image: {resize: 40, channels: 1}
augment: {crop: 32}
arms:
  - {backbone: [test_resnet, test_vit], initialization: "transfer:fundus+dino"}
sources:
  fundus: {source: phantom, task: fundus, patients: 40, size: 40}
recipe: {batch_size: 16, warmup_steps: 1, epochs: 1, precision: fp32}
dino:
  {epochs: 1, warmup_epochs: 0, batch_size: 16, hidden_dim: 32, output_dim: 32, precision: fp32,
   local_views: {size: 32, count: 1}}
endpoint: balanced_accuracy
repetitions: 1
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory, pixel_caches):
    root = tmp_path_factory.mktemp("weights")
    (root / "tiny.yaml").write_text(TINY)
    return run(load_protocol(root / "tiny.yaml"), root / "study", cache=pixel_caches)


def built_by_timm(expression):
    """The model, from the expression that the command prints."""
    assert re.match(r"timm\.create_model\('", expression)
    return eval(expression, {"timm": timm}).eval()


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit"])
def test_a_runs_file_gives_the_runs_own_predictions(study, tmp_path, backbone):
    (folder,) = [run for stage, run in study.runs() if stage.backbone == backbone]
    out = tmp_path / "new" / "run.safetensors"
    model = built_by_timm(export_weights(folder.path, out))
    with safe_open(out, "pt") as file:
        about = {k: json.loads(v) for k, v in file.metadata().items() if k != "format"}
    assert about["classes"] == list(study.facts.classes)
    assert about["backbone"] == backbone

    data = prepare_datasets(study.protocol, study.path / "cache")["data"]
    images = data.cache.read(data.rows_of("test")["row"].to_numpy())
    view = CentralView(
        about["crop"], tuple(about["mean"]), tuple(about["std"]), torch.device("cpu")
    )
    with torch.inference_mode():
        logits = model(view(torch.from_numpy(images)))
    found = folder.predictions()
    expected = found[found["split"] == "test"].filter(regex="logit").to_numpy(copy=True)
    torch.testing.assert_close(logits, torch.from_numpy(expected), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit"])
def test_self_supervised_weights_give_the_same_features(study, tmp_path, backbone):
    (folder,) = (study.path / "pretrained").glob(f"{backbone}-*+dino-*")
    model = built_by_timm(export_weights(folder, tmp_path / "dino.safetensors"))
    ours = build_backbone(backbone, 0, 1, 32)
    ours.load_state_dict(load_file(folder / "weights.safetensors"))
    images = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(model(images), ours.eval()(images))


@pytest.mark.slow
def test_what_cannot_be_exported_is_a_sentence(study, tmp_path):
    with pytest.raises(VitrialError, match=r"Name one of those in it:\n.*pretrained/test_resnet"):
        export_weights(study.path, tmp_path / "w.safetensors")
    with pytest.raises(VitrialError, match="There is none in it"):
        export_weights(tmp_path, tmp_path / "w.safetensors")
    with pytest.raises(VitrialError, match=r"must end in \.safetensors"):
        export_weights(study.runs()[0][1].path, tmp_path / "w.pth")


@pytest.mark.slow
def test_both_arms_stages_come_in_their_order_and_are_all_done(study):
    status = study.status()
    assert (status["status"] == "done").all()
    kinds = status.groupby("backbone", sort=False)["kind"].agg(list)
    assert kinds.tolist() == [["pretrain", "selfsupervise", "finetune"]] * 2
