import pytest

from vitrial.protocol import Arm, Plateau, Protocol, Recipe
from vitrial.store.facts import chain_of
from vitrial.study.plan import plan
from vitrial.study.tune import tuning_stages
from vitrial.study.versions import VERSIONS

ARMS = [
    Arm(backbone="resnet10t"),
    Arm(backbone="resnet10t", initialization="transfer:other"),
    Arm(backbone="deit_tiny_patch16_224", initialization="transfer:other"),
]
ARMS_DATA = {"source": "phantom"}
PHANTOM_GRADES = {"source": "phantom", "task": "fundus"}
FINGERPRINTS = {"data": "d", "other": "o", "unlabeled": "u"}


def protocol_with(**changes):
    phantom = {"source": "phantom"}
    fields = {
        "name": "test",
        "data": phantom,
        "sources": {"other": phantom},
        "arms": ARMS,
        "endpoint": "balanced_accuracy",
        "repetitions": 3,
        **changes,
    }
    return Protocol(**fields)


def keys_by_name(stages):
    return {stage.name: (stage.key, stage.seed) for stage in stages}


def test_a_shared_pretraining_is_planned_once_and_before_its_runs():
    stages = plan(protocol_with(), FINGERPRINTS)
    assert sum(stage.kind == "pretrain" for stage in stages) == 2
    assert sum(stage.kind == "finetune" for stage in stages) == 9
    for i, stage in enumerate(stages):
        if stage.start is not None:
            assert stage.start in [earlier.folder for earlier in stages[:i]]


def test_folders_are_unique():
    stages = plan(protocol_with(), FINGERPRINTS)
    assert len({stage.folder for stage in stages}) == len(stages)


def test_another_arm_or_repetition_or_margin_changes_no_run():
    small = keys_by_name(plan(protocol_with(arms=ARMS[:2], repetitions=2), FINGERPRINTS))
    large = keys_by_name(plan(protocol_with(margin=0.1, description="more"), FINGERPRINTS))
    assert small.items() <= large.items()


def test_whatever_decides_a_run_changes_its_key():
    base = keys_by_name(plan(protocol_with(), FINGERPRINTS))
    others = [
        plan(protocol_with(recipe=Recipe(base_lr=2e-4)), FINGERPRINTS),
        plan(protocol_with(endpoint="roc_auc"), FINGERPRINTS),
        plan(protocol_with(seed=1), FINGERPRINTS),
        plan(protocol_with(), {**FINGERPRINTS, "data": "changed"}),
    ]
    for other in others:
        assert all(base[name][0] != key for name, (key, _) in keys_by_name(other).items()
                   if "pretraining" not in name)  # fmt: skip


def test_another_source_changes_only_what_starts_from_it():
    base = keys_by_name(plan(protocol_with(), FINGERPRINTS))
    other = keys_by_name(plan(protocol_with(), {**FINGERPRINTS, "other": "changed"}))
    changed = {name for name in base if base[name] != other[name]}
    assert changed == {name for name in base if "transfer" in name or "pretraining" in name}


def test_weights_file_content_is_part_of_the_key(tmp_path):
    weights = tmp_path / "w.pth"
    arm = Arm(backbone="resnet10t", initialization=f"file:{weights}")
    keys = set()
    for content in (b"a", b"b"):
        weights.write_bytes(content)
        keys.add(plan(protocol_with(arms=[arm], repetitions=1), FINGERPRINTS)[0].key)
    assert len(keys) == 2


def test_the_tag_of_the_weights_is_part_of_the_key_and_not_of_the_seed():
    stages = [
        plan(protocol_with(arms=[Arm(backbone="resnet50", initialization=start)]), FINGERPRINTS)[0]
        for start in ("imagenet", "imagenet:tv_in1k", "imagenet:a1_in1k")
    ]
    assert stages[0].key == stages[1].key != stages[2].key
    assert len({stage.seed for stage in stages}) == 1


def test_keys_are_the_same_on_every_machine(tmp_path, monkeypatch):
    """Neither a build of torch nor a file of timm's weights that lies here is part of one."""
    arms = [Arm(backbone="resnet50", initialization="imagenet:tv_in1k"), ARMS[1]]
    before = keys_by_name(plan(protocol_with(arms=arms), FINGERPRINTS))
    monkeypatch.setenv("VITRIAL_CACHE", str(tmp_path))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "resnet50.tv_in1k.safetensors").write_bytes(b"weights")
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.0.1+cpu")
    assert keys_by_name(plan(protocol_with(arms=arms), FINGERPRINTS)) == before


def test_a_version_renames_its_own_kind_of_stage_and_what_follows(monkeypatch):
    base = keys_by_name(plan(ladder(), FINGERPRINTS))
    monkeypatch.setitem(VERSIONS, "selfsupervise", 1000)
    other = keys_by_name(plan(ladder(), FINGERPRINTS))
    changed = {name for name in base if base[name] != other[name]}
    assert changed == {name for name in base if "+dino" in name or "+byol" in name}


def test_seeds_differ_between_arms_and_repetitions():
    stages = plan(protocol_with(), FINGERPRINTS)
    assert len({stage.seed for stage in stages}) == len(stages)


def test_tuning_tries_every_rate_from_the_same_seed_and_shares_pretraining():
    protocol = protocol_with(recipe=Recipe(plateau=Plateau(final_lr=1e-6)))
    stages = tuning_stages(protocol, (1e-4, 1e-3), FINGERPRINTS)
    assert sum(stage.kind == "pretrain" for stage in stages) == 2
    tuned = [stage for stage in stages if stage.kind == "tune"]
    assert len(tuned) == 6
    assert len({stage.seed for stage in tuned}) == 3


def test_a_source_named_like_an_initialization_starts_nothing():
    protocol = protocol_with(arms=[Arm(backbone="resnet10t")], sources={"random": ARMS_DATA})
    assert all(stage.start is None for stage in plan(protocol, FINGERPRINTS))


@pytest.mark.parametrize("name", ["data", "..", "a/b"])
def test_sources_have_safe_names_of_their_own(name):
    with pytest.raises(ValueError, match="cannot name a source"):
        protocol_with(
            arms=[Arm(backbone="resnet10t", initialization=f"transfer:{name}")],
            sources={name: ARMS_DATA},
        )


def test_a_pretraining_selects_by_what_needs_no_order():
    kappa = protocol_with(data=PHANTOM_GRADES, endpoint="quadratic_kappa")
    endpoints = {stage.kind: stage.endpoint for stage in plan(kappa, FINGERPRINTS)}
    assert endpoints == {"pretrain": "balanced_accuracy", "finetune": "quadratic_kappa"}
    auc = plan(protocol_with(endpoint="roc_auc"), FINGERPRINTS)
    assert {stage.endpoint for stage in auc} == {"roc_auc"}


LADDER = ["random", "random+dino", "transfer:other", "transfer:other+dino", "transfer:other+byol"]


def ladder(**changes):
    arms = [Arm(backbone="resnet10t", initialization=start) for start in LADDER]
    return protocol_with(arms=arms, **changes)


def kinds(stages):
    return [stage.kind for stage in stages]


def test_a_ladder_of_initializations_shares_its_rungs():
    stages = plan(ladder(), FINGERPRINTS)
    assert kinds(stages).count("pretrain") == 1
    assert kinds(stages).count("selfsupervise") == 3
    assert kinds(stages).count("finetune") == 15
    chains = {str(stage.arm.origin): kinds(chain_of(stage, stages)) for stage in stages}
    assert chains == {
        "random": ["finetune"],
        "random+dino": ["selfsupervise", "finetune"],
        "transfer:other": ["pretrain", "finetune"],
        "transfer:other+dino": ["pretrain", "selfsupervise", "finetune"],
        "transfer:other+byol": ["pretrain", "selfsupervise", "finetune"],
    }
    for i, stage in enumerate(stages):
        assert stage.start is None or stage.start in {earlier.folder for earlier in stages[:i]}


def test_a_pretraining_for_each_repetition_is_asked_for():
    stages = plan(ladder(share_pretraining=False), FINGERPRINTS)
    assert kinds(stages).count("pretrain") == 3
    assert kinds(stages).count("selfsupervise") == 9
    assert len({stage.seed for stage in stages}) == len(stages)
    assert len({stage.folder for stage in stages}) == len(stages)
    for stage in stages:
        assert {earlier.repetition for earlier in chain_of(stage, stages)} == {stage.repetition}


def test_an_arms_own_rate_changes_no_pretraining():
    one, other = (
        [Arm(backbone="resnet10t", initialization="transfer:other+dino").with_rate(rate)]
        for rate in (1e-4, 1e-3)
    )
    first, second = (plan(protocol_with(arms=arms), FINGERPRINTS) for arms in (one, other))
    assert first[:2] == second[:2]
    assert first[2].key != second[2].key


def test_a_methods_recipe_changes_its_own_stages_and_what_follows():
    base = keys_by_name(plan(ladder(), FINGERPRINTS))
    other = keys_by_name(plan(ladder(dino={"epochs": 50}), FINGERPRINTS))
    changed = {name for name in base if base[name] != other[name]}
    assert changed == {name for name in base if "+dino" in name}


def test_a_weights_file_may_move(tmp_path):
    keys = set()
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "w.pth").write_bytes(b"weights")
        arm = Arm(backbone="resnet10t", initialization=f"file:{tmp_path / place / 'w.pth'}+dino")
        keys.add(tuple(stage.key for stage in plan(protocol_with(arms=[arm]), FINGERPRINTS)))
    assert len(keys) == 1


def test_labels_are_drawn_anew_for_each_repetition_and_alike_for_all_arms():
    stages = plan(ladder(split={"labeled": 0.1}), FINGERPRINTS)
    draws = {}
    for stage in stages:
        if stage.kind == "finetune":
            draws.setdefault(stage.repetition, set()).add(stage.labeled.seed)
    assert all(len(seeds) == 1 for seeds in draws.values()), "arms are compared on the same labels"
    assert len(set.union(*draws.values())) == 3
    assert all(stage.labeled is None for stage in stages if stage.kind == "pretrain")


def test_the_share_of_labels_decides_a_run_and_all_labels_need_no_draw():
    tenth, fifth = (
        keys_by_name(plan(protocol_with(split={"labeled": share}), FINGERPRINTS))
        for share in (0.1, 0.2)
    )
    changed = {name for name in tenth if tenth[name] != fifth[name]}
    assert changed == {name for name in tenth if "pretraining" not in name}
    assert all(stage.labeled is None for stage in plan(protocol_with(), FINGERPRINTS))
