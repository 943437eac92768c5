"""What is missing is said before anything is read or trained, all of it at once."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import timm
import torch
from safetensors.torch import save_file

from vitrial.errors import MissingError, VitrialError
from vitrial.protocol import Arm, Protocol, Recipe
from vitrial.study import missing as module
from vitrial.study.execute import run
from vitrial.study.initial import initial_model
from vitrial.study.preflight import check_stages, preflight
from vitrial.study.tune import tune_rates
from vitrial.train.selfsupervised.methods.dino.recipe import Dino


def protocol_of(*arms: Arm, **changes: object) -> Protocol:
    content = {
        "name": "trial",
        "data": {"source": "phantom", "patients": 20, "size": 40},
        "image": {"resize": 40},
        "augment": {"crop": 32},
        "arms": list(arms) or [Arm(backbone="resnet10t")],
        "dino": {"batch_size": 8, "output_dim": 32, "local_views": {"size": 32, "count": 1}},
        "endpoint": "accuracy",
        "repetitions": 2,
    }
    return Protocol.model_validate(content | changes)


def imagenet(name: str) -> Arm:
    return Arm(backbone=name, initialization="imagenet")


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No network and no weights; the folder of the caches."""
    monkeypatch.setenv("VITRIAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "cache"


def refusal(protocol: Protocol, root: Path, **options: object) -> str:
    with pytest.raises(VitrialError) as caught:
        preflight(protocol, root, **options)
    return str(caught.value)


def test_nothing_is_missing(tmp_path: Path, offline: Path) -> None:
    dino = Arm(backbone="resnet10t", initialization="random+dino")
    assert preflight(protocol_of(Arm(backbone="resnet10t"), dino), tmp_path / "study") == {}
    assert not (tmp_path / "study").exists()


def test_all_that_is_missing_is_said_at_once(
    tmp_path: Path, offline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setattr(module, "free_memory", lambda: 1_500_000)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=2_500_000))
    (tmp_path / "file").touch()
    transfer = Arm(backbone="resnet10t", initialization="transfer:scans")
    protocol = protocol_of(
        imagenet("resnet10t"),
        imagenet("resnet18"),
        transfer,
        data={"source": "folder", "root": tmp_path / "nowhere"},
        sources={"scans": {"source": "dicom", "root": tmp_path, "table": "x.csv"}},
    )
    said = refusal(protocol, tmp_path / "file" / "study", skip_missing=True)
    for piece in (
        f"data: There is no '{tmp_path / 'nowhere'}'",
        "sources.scans.source dicom needs: pip install 'vitrial[dicom]'",
        "study cannot be written (Not a directory)",
        "weights of resnet10t.c3_in1k could not be downloaded",
        f"put it at {offline / 'weights' / 'resnet10t.c3_in1k.safetensors'}",
        "weights of resnet18.tv_in1k could not be downloaded",
        "of memory or more for a step of 64 images, where 1.5 MB are free",
        "where 2.5 MB are free: make room",
    ):
        assert piece in said
    assert said.count("could not be downloaded") == 2


def test_arms_without_weights_are_skipped_if_asked(tmp_path: Path, offline: Path) -> None:
    protocol = protocol_of(
        Arm(backbone="resnet10t"),
        imagenet("resnet10t"),
        Arm(backbone="resnet10t", initialization="imagenet+dino"),
    )
    with pytest.raises(MissingError) as refused:
        preflight(protocol, tmp_path / "study")
    assert refused.value.skippable == ("resnet10t / imagenet", "resnet10t / imagenet+dino")
    skipped = preflight(protocol, tmp_path / "study", skip_missing=True)
    assert list(skipped) == ["resnet10t / imagenet", "resnet10t / imagenet+dino"]
    assert "could not be downloaded" in refusal(
        protocol_of(imagenet("resnet10t")), tmp_path / "study", skip_missing=True
    )


def test_without_weights_nothing_is_prepared_or_trained(
    tmp_path: Path, offline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitrial.study.execute.prepare_datasets", None)
    protocol = protocol_of(Arm(backbone="resnet10t"), imagenet("resnet10t"))
    with pytest.raises(VitrialError, match="cannot be run yet"):
        run(protocol, tmp_path / "study")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        ("nan", "holds weights that are not finite, in conv1.0.weight"),
        ("another", "does not fit resnet10t"),
        ("text", "holds no weights of resnet10t"),
        ("empty", "is empty or damaged"),
    ],
)
def test_a_file_of_weights_is_opened(tmp_path: Path, spoil: str, sentence: str) -> None:
    path = tmp_path / ("w.pth" if spoil in ("text", "empty") else "w.safetensors")
    if spoil in ("text", "empty"):
        path.write_text("everything else\n" if spoil == "text" else "")
    else:
        state = timm.create_model("resnet10t" if spoil == "nan" else "resnet18").state_dict()
        state = {name: tensor.contiguous() for name, tensor in state.items()}
        if spoil == "nan":
            state["conv1.0.weight"].fill_(math.nan)
        save_file(state, path)
    arm = Arm(backbone="resnet10t", initialization=f"file:{path}")
    said = refusal(protocol_of(arm), tmp_path / "study")
    assert sentence in said
    assert "base_lr" not in said
    assert sum(line.startswith(f"  {path}") for line in said.splitlines()) == 1


def test_a_stage_that_left_weights_that_are_not_finite_is_named(tmp_path: Path) -> None:
    state = timm.create_model("resnet10t").state_dict()
    state = {name: tensor.contiguous() for name, tensor in state.items()}
    state["conv1.0.weight"][0] = math.inf
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(VitrialError, match=r"w\.safetensors holds weights that are not finite"):
        initial_model(Arm(backbone="resnet10t"), 2, 3, 32, 0, tmp_path / "w.safetensors")


def test_a_backbone_that_takes_no_such_crop_is_refused(tmp_path: Path, offline: Path) -> None:
    protocol = protocol_of(Arm(backbone="xcit_nano_12_p16_224"), augment={"crop": 40})
    assert "arms[0].backbone: xcit_nano_12_p16_224 takes no images" in refusal(protocol, tmp_path)


def test_a_batch_that_memory_cannot_hold_is_refused(tmp_path: Path, offline: Path) -> None:
    protocol = protocol_of(
        recipe={"batch_size": 65_536}, augment={"crop": 512}, image={"resize": 512}
    )
    said = refusal(protocol, tmp_path / "study")
    assert "lower recipe.batch_size" in said
    assert "TB of memory or more for a step of 65,536 images" in said


def stages_of(protocol: Protocol, recipe: Recipe) -> list[SimpleNamespace]:
    arm = protocol.arms[0]
    facts = {"kind": "finetune", "dataset": "data", "folder": "x", "start": None, "fraction": None}
    return [SimpleNamespace(arm=arm, recipe=recipe, **facts)] * 2


@pytest.mark.parametrize(("warmup", "outcome"), [(12, "fine"), (13, "note"), (121, "refused")])
def test_a_warm_up_longer_than_its_training(tmp_path: Path, warmup: int, outcome: str) -> None:
    protocol = protocol_of()
    data = SimpleNamespace(rows_of=lambda split: range(31))  # 4 batches of 8 at most
    stages = stages_of(protocol, Recipe(warmup_steps=warmup, batch_size=8, epochs=3))
    if outcome == "refused":
        with pytest.raises(VitrialError, match=r"recipe\.warmup_steps 121 exceeds the 12 steps"):
            check_stages(stages, protocol, {"data": data}, tmp_path)
        return
    notes = check_stages(stages, protocol, {"data": data}, tmp_path)
    assert len(notes) == (outcome == "note")


def test_weights_that_a_run_left_to_do_needs_are_looked_for_again(
    tmp_path: Path, offline: Path
) -> None:
    """An arm of a finished study needs none; that its runs are to be done anew is known late."""
    protocol = protocol_of(imagenet("resnet10t"))
    data = SimpleNamespace(rows_of=lambda split: range(31))
    with pytest.raises(VitrialError, match=r"resnet10t.* could not be downloaded"):
        check_stages(
            stages_of(protocol, Recipe(warmup_steps=0)), protocol, {"data": data}, tmp_path
        )


def test_space_is_compared_again_when_the_images_are_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = protocol_of()
    data = SimpleNamespace(rows_of=lambda split: range(31))
    stages = stages_of(protocol, Recipe(warmup_steps=0))
    # resnet10t: 4.9 million weights of 4 bytes for each run, and two checkpoints of thrice that.
    weights = 4 * sum(t.numel() for t in timm.create_model("resnet10t", num_classes=2).parameters())
    for free, enough in ((8 * weights, True), (int(7.9 * weights), False)):
        usage = SimpleNamespace(free=free + 2**20)
        monkeypatch.setattr(module.shutil, "disk_usage", lambda path, usage=usage: usage)
        if enough:
            assert check_stages(stages, protocol, {"data": data}, tmp_path) == []
        else:
            with pytest.raises(VitrialError, match="MB are free: make room"):
                check_stages(stages, protocol, {"data": data}, tmp_path)


@pytest.mark.parametrize("rate", [math.nan, math.inf, 0.0, -1.0, 11.0])
def test_an_impossible_rate_is_refused_before_anything_else(
    tmp_path: Path, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitrial.study.tune.preflight", None)
    with pytest.raises(VitrialError, match="The rate"):
        tune_rates(protocol_of(), [1e-3, rate], tmp_path)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(batch_size=4, precision="fp32"),
        Dino(batch_size=4, local_views={"size": 32, "count": 1}),
    ],
)
def test_what_a_forward_pass_keeps_grows_by_the_same_for_every_image(recipe: Recipe | Dino) -> None:
    sizes = [recipe.model_copy(update={"batch_size": n}) for n in (4, 8, 12)]
    first, second, third = (module.footprint("resnet10t", each, 3, 32) for each in sizes)
    assert first.kept is not None
    assert second.kept is not None
    assert third.kept is not None
    assert 0 < second.kept - first.kept == third.kept - second.kept
    assert (first.weights, first.checkpoint) == (third.weights, third.checkpoint)


def test_what_a_linear_layer_keeps_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: its input, and the log-softmax of its logits with the targets of the loss."""
    layer = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 2))
    monkeypatch.setattr("vitrial.study.footprint.build_backbone", lambda *_: layer)
    found = module.footprint.__wrapped__("x", Recipe(batch_size=5, precision="fp32"), 3, 8)
    assert found.weights == 4 * (192 * 2 + 2)
    assert found.checkpoint == 3 * found.weights
    inputs, log_softmax, targets, total_weight = 5 * 192 * 4, 5 * 2 * 4, 5 * 8, 4
    assert found.kept == inputs + log_softmax + targets + total_weight
