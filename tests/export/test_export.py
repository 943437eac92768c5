"""Models leave as files that other programs load, with the answers that they gave here."""

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import timm
import torch
from huggingface_hub import ModelCard
from PIL import Image
from safetensors.torch import load_file
from sklearn.metrics import balanced_accuracy_score

from simulated_studies import CNN, RESULT, VIT, protocol, write_study
from tiny_study import invoke
from vitrial.data.sources import load_dataset
from vitrial.errors import VitrialError
from vitrial.export.card import cell, model_card, published
from vitrial.export.check import check
from vitrial.export.chosen import choose
from vitrial.export.run import export
from vitrial.models.backbone import build_backbone
from vitrial.protocol.file import load_protocol
from vitrial.store.run_folder import RunFolder
from vitrial.study.datasets import prepare_datasets
from vitrial.study.execute import run

TINY = """
name: tiny
data: {source: phantom, patients: 40, size: 48}
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
ARM = "{} / transfer:fundus+dino"


@pytest.fixture(scope="module")
def study(tmp_path_factory, pixel_caches):
    root = tmp_path_factory.mktemp("export")
    (root / "tiny.yaml").write_text(TINY)
    return run(load_protocol(root / "tiny.yaml"), root / "study", cache=pixel_caches)


def chosen(study, backbone="test_resnet", cache=None):
    return choose(study.path, ARM.format(backbone), cache=cache)


def rows_of_test(exported):
    table = exported.predictions
    table = table[table["split"] == "test"].set_index("image")
    return table, table.filter(regex="^logit").to_numpy(copy=True)


def of_timm(folder):
    return timm.create_model(f"local-dir:{folder}", pretrained=True).eval()


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit"])
def test_timm_answers_as_the_run_did_from_the_image_file_on(study, tmp_path, backbone):
    exported = chosen(study, backbone)
    export(exported, ["timm"], tmp_path / "out")
    model = of_timm(tmp_path / "out")
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
    table, stored = rows_of_test(exported)
    reader = load_dataset(study.protocol.data).reader
    files = (Image.open(BytesIO(reader.read(name))).convert("L") for name in table.index)
    with torch.inference_mode():
        logits = model(torch.stack([transform(file) for file in files]))
    torch.testing.assert_close(logits, torch.from_numpy(stored), rtol=1e-4, atol=1e-4)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["label_names"] == list(study.facts.classes)
    assert config["temperature"] == exported.temperature


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit"])
def test_self_supervised_weights_give_the_same_features(study, tmp_path, backbone):
    (folder,) = (study.path / "pretrained").glob(f"{backbone}-*+dino-*")
    export(choose(folder), ["timm"], tmp_path / "dino")
    ours = build_backbone(backbone, 0, 1, 32)
    ours.load_state_dict(load_file(folder / "weights.safetensors"))
    images = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(of_timm(tmp_path / "dino")(images), ours.eval()(images))
    with pytest.raises(VitrialError, match="which has no classes"):
        export(choose(folder), ["hub"], tmp_path / "hub")
    with pytest.raises(VitrialError, match="name a folder with --out"):
        export(choose(folder), ["timm"])


@pytest.mark.slow
def test_programs_answer_as_the_run_did_and_name_no_file_of_this_machine(study, pixel_caches):
    command = ("export", study.path, "--arm", ARM.format("test_resnet"), "--cache", pixel_caches)
    told = invoke(*command, "--to", "onnx", "--to", "pt2")
    assert told.exit_code == 0, told.output
    assert "Repetition 1 of 1 has the best balanced accuracy on validation" in told.output
    (folder,) = (study.path / "exports").iterdir()
    assert folder.name == "test_resnet-transfer-fundus+dino-1"
    exported = chosen(study)
    table, stored = rows_of_test(exported)
    data = prepare_datasets(study.protocol, pixel_caches)["data"]
    pixels = data.cache.read(data.rows_of("test").set_index("image")["row"][table.index].to_numpy())

    session = onnxruntime.InferenceSession(folder / "model.onnx")
    by_onnx = session.run(["logits", "probabilities"], {"images": pixels})
    program = torch.export.load(folder / "model.pt2").module()
    by_torch = [of.detach().numpy() for of in program(torch.from_numpy(pixels))]
    scaled = np.exp(stored / exported.temperature)
    for logits, probabilities in (by_onnx, by_torch):
        np.testing.assert_allclose(logits, stored, atol=1e-4)
        expected = scaled / scaled.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(probabilities, expected, atol=1e-4)

    about = json.loads((folder / "model.onnx.json").read_text())
    assert about["classes"] == list(study.facts.classes)
    assert about["input"]["shape"] == ["batch", 40, 40, 1]
    assert about["check"]["images"] == len(pixels)
    assert about["check"]["difference"] < 1e-4
    for file in folder.iterdir():
        content = file.read_bytes()
        assert b"site-packages" not in content
        assert str(Path.home()).encode() not in content
        assert str(Path(__file__).parents[2]).encode() not in content

    again = invoke(*command, "--to", "onnx")
    assert again.exit_code == 1
    assert "model.onnx exists already" in " ".join(again.output.split())


@pytest.mark.slow
def test_a_program_that_answers_otherwise_is_refused(study, pixel_caches):
    exported = chosen(study, cache=pixel_caches)
    with pytest.raises(VitrialError, match=r"logits differ by up to .* where 0\.0001 is allowed"):
        check(exported, "model.onnx", lambda images: np.ones((len(images), 4), np.float32))


@pytest.mark.slow
def test_the_card_has_the_figures_of_the_store_and_no_path(study, tmp_path):
    exported = chosen(study)
    export(exported, ["hub"], tmp_path / "hub")
    card = ModelCard.load(tmp_path / "hub" / "README.md")
    table, logits = rows_of_test(exported)
    (score,) = (r for r in card.data.eval_results if r.metric_type == "balanced_accuracy")
    expected = balanced_accuracy_score(table["target"], logits.argmax(axis=1))
    assert score.metric_value == pytest.approx(expected)
    assert card.data.library_name == "timm"
    assert card.data.license == "other"
    assert f"| balanced accuracy | {expected:.3f}" in card.text
    right = logits.argmax(axis=1) == table["target"]
    for c, name in enumerate(study.facts.classes):
        assert f"| {name} | {right[table['target'] == c].mean():.3f}" in card.text
    assert study.facts.protocol in card.text
    counts = study.manifest()["split"].value_counts()
    assert f"| training | {counts['train']} |" in card.text
    assert "not a medical device" in card.text
    assert str(study.path.parent) not in card.content


@pytest.mark.slow
def test_a_card_says_nothing_of_a_path_and_no_name_is_markup(study):
    exported = chosen(study)
    hostile = ("a|b", "<script>x", "*y*\n# z", "黑色素瘤")
    facts = replace(exported.run.study.facts, classes=hostile, data="<b>")
    renamed = replace(exported.run, study=replace(exported.run.study, facts=facts))
    card = model_card(replace(exported, of=renamed))
    assert "<script>" not in card
    assert r"| a\|b |" in card
    assert r"\*y\* # z" in card
    assert cell("`[x]`\\") == r"\`\[x\]\`\\"


def test_the_best_on_validation_is_chosen(tmp_path):
    arm = f"{CNN} / random"
    study = write_study(tmp_path, protocol(), {arm: [3.0, 1.0, 1.0]})
    better = replace(RESULT, history=[{"epoch": 1, "train_loss": 1.0, "score": 0.75}])
    RunFolder(study.runs()[1][1].path).finish(better)
    exported = choose(tmp_path, arm)
    assert exported.of.entry.repetition == 2
    assert exported.of.why == (
        "Repetition 2 of 3 has the best balanced accuracy on validation, 0.750."
    )
    assert choose(tmp_path, arm, 3).of.entry.repetition == 3
    for asked, said in (
        ((arm, 4), "no finished repetition 4: there are 1, 2, 3"),
        ((f"{VIT} / random",), "No run of"),
        ((f"{CNN} / randm",), f"did you mean {arm}"),
        ((), f"--arm '{arm}'"),
    ):
        with pytest.raises(VitrialError, match=said.replace("(", r"\(")):
            choose(tmp_path, *asked)


def test_what_cannot_be_exported_is_a_sentence(tmp_path, monkeypatch):
    with pytest.raises(VitrialError, match="There is none in it"):
        choose(tmp_path)
    study = write_study(tmp_path, protocol(), {f"{CNN} / random": [1.0]})
    exported = choose(study.path, f"{CNN} / random")
    with pytest.raises(VitrialError, match="There is no 'onx'"):
        export(exported, ["onx"])
    monkeypatch.setattr("vitrial.export.run.find_spec", lambda name: None)
    with pytest.raises(VitrialError, match=r"--to onnx needs: pip install 'vitrial\[onnx\]'"):
        export(exported, ["onnx", "timm"])


@pytest.mark.parametrize(
    ("section", "name"),
    [
        ({"source": "ham10000", "root": "/data"}, "ham10000"),
        ({"source": "medmnist", "name": "dermamnist", "root": "/data"}, "medmnist-dermamnist"),
        ({"source": "huggingface", "repo": "owner/moles"}, "owner/moles"),
        ({"source": "huggingface", "repo": "/home/me/moles"}, None),
        ({"source": "folder", "root": "/data"}, None),
    ],
)
def test_only_public_data_sets_are_named(section, name):
    assert published(protocol(data=section).data) == name
