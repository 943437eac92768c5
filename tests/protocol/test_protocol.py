from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import timm
from pydantic import ValidationError

from vitrial.data.sources.csv import CsvData
from vitrial.models.names import check_backbone, has_weights
from vitrial.protocol import Arm, Protocol, Recipe, digest
from vitrial.protocol.checks import unknown_names
from vitrial.protocol.file import load_protocol

CSV = {"source": "csv", "root": "data", "table": "images.csv"}
TRANSFER = {"backbone": "resnet18", "initialization": "transfer:isic"}


def make(**changes: Any) -> Protocol:
    content = {
        "name": "trial",
        "data": {"source": "phantom"},
        "arms": [{"backbone": "resnet18"}, {"backbone": "deit_tiny_patch16_224"}],
        "endpoint": "balanced_accuracy",
    }
    return Protocol.model_validate(content | changes)


def complaints(**changes: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        make(**changes)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"augment": {"crop": 256}, "image": {"resize": 128}},
            "does not fit into image.resize 128",
        ),
        ({"arms": [TRANSFER]}, "'transfer:isic' names no entry of sources (there are none)"),
        ({"arms": [TRANSFER], "sources": {"ham": CSV}}, "names no entry of sources (ham)"),
        ({"arms": [{"backbone": "resnet18"}] * 2}, "'resnet18 / random' is listed already"),
        (
            {"arms": [{"backbone": "deit_tiny_patch16_224", "initialization": "random+dino"}]}
            | {"dino": {"local_views": {"size": 100}}},
            "patches of 16 pixels do not fill dino.local_views.size 100: 96 or 112",
        ),
        (
            {"arms": [{"backbone": "resnet18", "initialization": "random+dino"}]}
            | {"augment": {"crop": 64}},
            "local views of 96 pixels exceed augment.crop 64",
        ),
        ({"unlabeled": "more"}, "nothing learns from it"),
        ({"dino": {"base_lr": 1e-6}}, "final_lr 1e-06 exceeds the rate"),
        ({"byol": {"epochs": 5}}, "warmup_epochs 10 exceed epochs 5"),
        ({"dino": {"global_views": [{"scale": [0.5, 0.2]}, {}]}}, "must rise to 1 at most"),
        ({"dino": {"sigma": [2.0, 0.1]}}, "the lower bound 2 exceeds the upper 0.1"),
        (
            {"arms": [{"backbone": "resnet18", "recipe": {"base_lr": 1e-7}}]},
            "arms[0].recipe.base_lr: 1e-06 exceeds",
        ),
        ({"recipe": {"base_lr": 1e-7}}, "exceeds recipe.base_lr"),
        ({"fractions": [0.1, 0.5]}, "must rise to 1, each fraction once"),
        ({"fractions": [0.5, 0.1, 1.0]}, "must rise to 1, each fraction once"),
        ({"recipe": {"sampling": "balanced", "class_weights": "balanced"}}, "choose one"),
        ({"pretrain": {}}, "nothing is pretrained"),
        (
            {"augment": {"crop": 100}},
            "patches of 16 pixels do not fill augment.crop 100: 96 or 112",
        ),
        ({"data": CSV | {"group": "label"}}, "column 'label' is already the one of label"),
        ({"data": {"source": "phantom", "classes": ["a", "b", "a"]}}, "more than once: a"),
        ({"endpoint": "quadratic_kappa"}, "diagnoses have none"),
        (
            {"endpoint": "quadratic_kappa", "data": {"source": "isic2019", "root": "data"}},
            "diagnoses have none",
        ),
        ({"split": {"fractions": [0.5, 0.2, 0.2]}}, "add up to 0.9, not 1"),
        ({"recipe": {"epochs": True}}, "recipe.epochs"),
        ({"recipe": {"weight_decay": float("inf")}}, "finite"),
    ],
)
def test_impossible_protocols_are_refused(changes: dict[str, Any], complaint: str) -> None:
    assert complaint in complaints(**changes)


def test_one_weights_file_for_two_backbones_is_refused() -> None:
    arms = [{"backbone": name, "initialization": "file:w.pth"} for name in ("resnet18", "resnet34")]
    assert "one file cannot hold the weights of resnet18 and of resnet34" in complaints(arms=arms)


def unknown(**arm: str) -> str:
    """What timm is found to lack of an arm, which is valid all the same."""
    return "; ".join(clash.sentence for clash in unknown_names(make(arms=[arm]).arms))


def test_a_misspelt_tag_is_no_fault_of_the_schema_but_found_by_asking_timm() -> None:
    sentence = unknown(backbone="resnet18", initialization="timm:a1_in2k")
    assert "timm has no tag 'a1_in2k' of resnet18, did you mean a1_in1k" in sentence
    assert unknown(backbone="resnet18", initialization="timm:a1_in1k") == ""


def test_imagenet_needs_weights_where_timm_has_none() -> None:
    name = next(name for name in timm.list_models("resnet*") if not has_weights(name))
    for initialization in ("imagenet", "timm"):
        sentence = unknown(backbone=name, initialization=initialization)
        assert f"timm has no weights of {name}" in sentence
    assert unknown(backbone=name, initialization="file:mine.safetensors") == ""


def test_imagenet_refuses_weights_that_saw_other_data_and_lists_what_there_is() -> None:
    arm = {"backbone": "beit_base_patch16_224", "initialization": "imagenet"}
    sentence = unknown(**arm)
    assert "no weights of beit_base_patch16_224 that were trained on ImageNet-1k alone" in sentence
    assert "timm:TAG (in22k_ft_in22k, in22k_ft_in22k_in1k)" in sentence
    (beit,) = make(arms=[arm | {"initialization": "timm"}]).arms
    assert beit.model == "beit_base_patch16_224.in22k_ft_in22k_in1k"


def test_two_weights_of_one_row_are_told_apart_by_timm() -> None:
    arms = [
        {"backbone": "resnet50", "initialization": f"imagenet{tag}"} for tag in ("", ":a1_in1k")
    ]
    assert "to compare weights, name them by timm:TAG" in complaints(arms=arms)
    arms[1]["initialization"] = "timm:a1_in1k"
    assert [arm.tag for arm in make(arms=arms).arms] == ["tv_in1k", "a1_in1k"]


@pytest.mark.parametrize("name", ["", "-isic2019", "-cbis-ddsm"])
def test_the_papers_protocols_start_from_the_papers_weights(name: str) -> None:
    arms = load_protocol(f"matsoukas2021{name}").arms
    found = {(arm.backbone, str(arm.origin)): arm.tag for arm in arms}
    paper = {"resnet50": "tv_in1k", "deit_small_patch16_224": "fb_in1k"}
    assert found == {
        (backbone, start): None if start == "random" else tag
        for backbone, tag in paper.items()
        for start in ("random", "imagenet", "imagenet+dino")
    }


def test_all_clashes_are_reported_at_once() -> None:
    text = complaints(augment={"crop": 300}, pretrain={}, recipe={"base_lr": 1e-7})
    assert all(key in text for key in ("augment.crop", "pretrain", "recipe.plateau.final_lr"))


def test_order_of_grades_allows_kappa_on_diagnoses() -> None:
    data = {"source": "phantom", "classes": ["benign", "malignant"]}
    assert make(data=data, endpoint="quadratic_kappa").endpoint == "quadratic_kappa"


def test_arms_may_have_their_own_rate() -> None:
    arm = Arm(backbone="resnet18", recipe={"base_lr": 3e-4})
    protocol = make(arms=[arm, Arm(backbone="resnet34")])
    rates = [protocol.recipe_of(arm).base_lr for arm in protocol.arms]
    assert rates == [3e-4, 1e-4]


def test_arms_may_have_a_recipe_of_their_own_in_a_part_of_its_keys() -> None:
    changes = {"optimizer": "adamw", "plateau": {"patience": 3}}
    arm = Arm(backbone="resnet18", recipe=changes, id="adamw")
    protocol = make(arms=[arm, Arm(backbone="resnet18")], recipe={"plateau": {"factor": 0.5}})
    recipe = protocol.recipe_of(arm)
    assert (recipe.optimizer, recipe.plateau.patience, recipe.plateau.factor) == ("adamw", 3, 0.5)
    assert [arm.name for arm in protocol.arms] == ["adamw", "resnet18 / random"]
    again = Protocol.model_validate_json(protocol.model_dump_json())
    assert again.recipe_of(again.arms[0]) == recipe
    assert again.hash() == protocol.hash()


def test_two_arms_that_differ_by_their_recipe_need_an_id() -> None:
    arms = [{"backbone": "resnet18"}, {"backbone": "resnet18", "recipe": {"optimizer": "adamw"}}]
    assert "to compare recipes, give each an id" in complaints(arms=arms)
    assert len(make(arms=[arms[0], arms[1] | {"id": "adamw"}]).arms) == 2


def test_hash_changes_with_anything_and_with_nothing_else() -> None:
    same = make(recipe={"epochs": 200})
    assert make().hash() == same.hash() == make().hash()
    others = [
        make(seed=1),
        make(recipe={"epochs": 199}),
        make(data={"source": "phantom", "seed": 1}),
    ]
    assert len({protocol.hash() for protocol in [same, *others]}) == 4
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_paths_are_absolute_with_home_and_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("SCRATCH", "/scratch")

    def root(text: str) -> Path:
        return CsvData.model_validate(CSV | {"root": text}).root

    assert root("data") == tmp_path / "data"
    assert root("../x") == tmp_path.parent / "x"
    assert root("~/x") == Path("/home/someone/x")
    assert root("$SCRATCH/x") == Path("/scratch/x")
    assert root("/x") == Path("/x")


def test_protocols_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(make())) == make()


@pytest.mark.parametrize("name", ["resnet50", "deit_small_patch16_224.fb_in1k"])
def test_timm_names_with_and_without_tag_are_known(name: str) -> None:
    check_backbone(name)
    assert has_weights(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("resnet5O", "resnet50"),
        ("ResNet50", "resnet50"),
        ("deit_smal_patch16_224", "deit_small_patch16_224"),
        ("resnet50.a1_inlk", "resnet50.a1_in1k"),
    ],
)
def test_misspelt_backbones_get_the_nearest_name(name: str, meant: str) -> None:
    with pytest.raises(ValueError, match="did you mean") as caught:
        check_backbone(name)
    assert f"mean {meant}" in str(caught.value)


def test_nonsense_backbone_is_refused_without_a_guess() -> None:
    with pytest.raises(ValueError, match=r"timm has no backbone 'qqqqqq'"):
        check_backbone("qqqqqq")


def test_a_batch_in_one_part_leaves_what_names_a_stage_as_it_was():
    assert "accumulate" not in Recipe().model_dump(mode="json")
    assert Recipe(accumulate=2).model_dump(mode="json")["accumulate"] == 2
