import pickle

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from vitrial.errors import VitrialError
from vitrial.models.backbone import build_backbone
from vitrial.models.initialization import (
    load_trained,
    load_weights,
    weights_file,
    weights_record,
)
from vitrial.protocol import Arm

CNN, VIT = "resnet10t", "deit_tiny_patch16_224"


def contiguous(model):
    return {name: tensor.contiguous() for name, tensor in model.state_dict().items()}


@pytest.fixture(scope="module")
def cnn_file(tmp_path_factory):
    """A file as timm distributes it: 3 channels, 1000 classes."""
    path = tmp_path_factory.mktemp("weights") / "cnn.safetensors"
    torch.manual_seed(1)
    save_file(contiguous(timm.create_model(CNN)), path)
    return path


@pytest.mark.parametrize("name", [CNN, VIT, "resnet50", "deit_small_patch16_224", "convnext_atto"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_parameter_of_a_backbone_learns(name, channels):
    model = build_backbone(name, classes=5, channels=channels, crop=64)
    logits = model(torch.randn(2, channels, 64, 64))
    assert logits.shape == (2, 5)
    logits.square().sum().backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    assert all(g is not None and torch.isfinite(g).all() for g in gradients.values())


def test_random_cnn_is_kaimings():
    model = build_backbone("resnet50", 5, 3, 64)
    weight = model.layer2[0].conv2.weight
    fan_out = weight.shape[0] * 9
    assert weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.02)


def test_imagenet_weights_arrive_all_but_the_head(cnn_file):
    model = load_weights(CNN, cnn_file, classes=7, channels=3, crop=64)
    torch.manual_seed(1)
    source = timm.create_model(CNN)
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(
        model.eval().forward_features(images), source.eval().forward_features(images)
    )
    assert model.get_classifier().out_features == 7


def test_one_channel_stem_sums_the_colors(cnn_file):
    model = load_weights(CNN, cnn_file, classes=7, channels=1, crop=64)
    color = load_weights(CNN, cnn_file, classes=7, channels=3, crop=64)
    gray = torch.randn(2, 1, 64, 64)
    torch.testing.assert_close(
        model.eval().forward_features(gray),
        color.eval().forward_features(gray.expand(-1, 3, -1, -1)),
        rtol=1e-3,
        atol=1e-4,
    )


def test_position_embedding_is_resampled_to_the_crop(tmp_path):
    save_file(contiguous(timm.create_model(VIT)), tmp_path / "vit.safetensors")
    model = load_weights(VIT, tmp_path / "vit.safetensors", 7, 3, crop=64)
    assert model.pos_embed.shape[1] == 1 + 4 * 4


def test_plain_pth_is_read(tmp_path):
    torch.save(timm.create_model(CNN).state_dict(), tmp_path / "cnn.pth")
    assert load_weights(CNN, tmp_path / "cnn.pth", 7, 3, 64)


def test_another_architecture_is_refused(cnn_file):
    with pytest.raises(VitrialError, match=r"does not fit resnet18"):
        load_weights("resnet18", cnn_file, 7, 3, 64)


def test_a_file_whose_names_match_nothing_is_refused(tmp_path, cnn_file):
    save_file(contiguous(timm.create_model(VIT)), tmp_path / "vit.safetensors")
    with pytest.raises(VitrialError, match=r"does not fit resnet10t: it has no"):
        load_weights(CNN, tmp_path / "vit.safetensors", 7, 3, 64)
    state = {f"backbone.{name}": value for name, value in load_file(cnn_file).items()}
    save_file(state, tmp_path / "prefixed.safetensors")
    with pytest.raises(VitrialError, match=r"does not fit resnet10t: it has no"):
        load_weights(CNN, tmp_path / "prefixed.safetensors", 7, 3, 64)


def without(state, *endings):
    return {name: value for name, value in state.items() if not name.endswith(endings)}


INCOMPLETE = [
    ("biases", CNN, (".bias",), "bn1.bias"),
    ("normalization statistics", CNN, ("running_mean", "running_var"), "bn1.running_mean"),
    ("scales", VIT, ("norm1.weight", "norm2.weight"), "blocks.0.norm1.weight"),
    ("one bias", VIT, ("blocks.3.mlp.fc1.bias",), "blocks.3.mlp.fc1.bias"),
    ("one weight", VIT, ("blocks.3.mlp.fc1.weight",), "blocks.3.mlp.fc1.weight"),
]


@pytest.mark.parametrize(("name", "endings", "first"), [case[1:] for case in INCOMPLETE])
@pytest.mark.parametrize("trained", [False, True])
def test_a_file_that_lacks_anything_but_the_head_is_refused(
    tmp_path, name, endings, first, trained
):
    state = contiguous(timm.create_model(name))
    if trained:
        state = {k: v + 0.01 if v.is_floating_point() else v for k, v in state.items()}
    save_file(state, tmp_path / "whole.safetensors")
    assert load_weights(name, tmp_path / "whole.safetensors", 7, 3, 64)
    save_file(without(state, *endings), tmp_path / "part.safetensors")
    with pytest.raises(VitrialError, match=rf"does not fit {name}: it has no .*{first}"):
        load_weights(name, tmp_path / "part.safetensors", 7, 3, 64)


def test_a_bias_of_zeros_under_a_name_that_timm_renames_is_there(tmp_path):
    """ConvNeXt's own files say `downsample_layers` where timm says `stem`, and so on."""
    theirs = {
        "downsample_layers.0.0.weight": "stem.0.weight",
        "downsample_layers.0.0.bias": "stem.0.bias",
        "downsample_layers.0.1.weight": "stem.1.weight",
        "downsample_layers.0.1.bias": "stem.1.bias",
    }
    state = contiguous(timm.create_model("convnext_atto"))
    for stage in range(4):
        for block in range(len(timm.create_model("convnext_atto").stages[stage].blocks)):
            ours = f"stages.{stage}.blocks.{block}."
            for their_name, our_name in (("dwconv", "conv_dw"), ("pwconv1", "mlp.fc1"),
                                         ("pwconv2", "mlp.fc2"), ("norm", "norm")):  # fmt: skip
                for kind in ("weight", "bias"):
                    theirs[f"stages.{stage}.{block}.{their_name}.{kind}"] = (
                        f"{ours}{our_name}.{kind}"
                    )
            theirs[f"stages.{stage}.{block}.gamma"] = f"{ours}gamma"
    for stage in (1, 2, 3):
        for i in (0, 1):
            for kind in ("weight", "bias"):
                theirs[f"downsample_layers.{stage}.{i}.{kind}"] = (
                    f"stages.{stage}.downsample.{i}.{kind}"
                )
    for kind in ("weight", "bias"):
        theirs[f"norm.{kind}"], theirs[f"head.{kind}"] = f"head.norm.{kind}", f"head.fc.{kind}"
    renamed = {their_name: state[our_name] for their_name, our_name in theirs.items()}
    assert len(renamed) == len(state)
    save_file(renamed, tmp_path / "theirs.safetensors")
    assert load_weights("convnext_atto", tmp_path / "theirs.safetensors", 7, 3, 64)


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_truncated_file_is_refused(tmp_path, cnn_file, suffix):
    whole = tmp_path / f"whole.{suffix}"
    if suffix == "pth":
        torch.save(timm.create_model(CNN).state_dict(), whole)
    else:
        whole.write_bytes(cnn_file.read_bytes())
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(whole.read_bytes()[:100_000])
    with pytest.raises(VitrialError, match=r"damaged"):
        load_weights(CNN, cut, 7, 3, 64)


class Malice:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code ran')",))


def test_a_pickle_with_code_is_refused_unrun(tmp_path):
    torch.save({"state_dict": Malice()}, tmp_path / "evil.pth")
    with pytest.raises(VitrialError, match=r"more than weights.*refused"):
        load_weights(CNN, tmp_path / "evil.pth", 7, 3, 64)
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Malice(), protocol=2))
    with pytest.raises(VitrialError, match=r"refused"):
        load_weights(CNN, tmp_path / "plain.pth", 7, 3, 64)


@pytest.mark.parametrize(
    ("initialization", "file"),
    [
        ("imagenet", "resnet50.tv_in1k.safetensors"),
        ("imagenet:a1_in1k", "resnet50.a1_in1k.safetensors"),
        ("timm", "resnet50.a1_in1k.safetensors"),
        ("timm:a2_in1k+dino", "resnet50.a2_in1k.safetensors"),
    ],
)
def test_without_network_the_sentence_says_which_file_to_put_where(
    tmp_path, monkeypatch, initialization, file
):
    monkeypatch.setenv("VITRIAL_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    arm = Arm(backbone="resnet50", initialization=initialization)
    wanted = tmp_path / "weights" / file
    with pytest.raises(VitrialError) as error:
        weights_file(arm)
    assert "fetch model.safetensors from https://huggingface.co/timm/" in str(error.value)
    assert str(wanted) in str(error.value)
    wanted.parent.mkdir()
    wanted.touch()
    assert weights_file(arm) == wanted


def test_weights_that_are_not_on_the_hub_are_named_by_their_address(tmp_path, monkeypatch):
    monkeypatch.setenv("VITRIAL_CACHE", str(tmp_path))
    arm = Arm(backbone="legacy_seresnet18", initialization="imagenet")
    with pytest.raises(VitrialError, match=r"fetch https://.*\.pth and put it at (.*)\.in1k\.pth,"):
        weights_file(arm)


def test_the_record_names_tag_and_digest(tmp_path, monkeypatch):
    monkeypatch.setenv("VITRIAL_CACHE", str(tmp_path))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "resnet50.tv_in1k.safetensors").write_bytes(b"abc")
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    imagenet = weights_record(Arm(backbone="resnet50", initialization="imagenet+dino"))
    assert imagenet == {"tag": "tv_in1k", "file": "resnet50.tv_in1k", "sha256": sha256}
    (tmp_path / "mine.pth").write_bytes(b"abc")
    mine = weights_record(Arm(backbone="resnet50", initialization=f"file:{tmp_path}/mine.pth"))
    assert mine == {"tag": None, "file": "mine.pth", "sha256": sha256}
    assert weights_record(Arm(backbone="resnet50")) is None


def test_a_missing_file_is_named(tmp_path):
    arm = Arm(backbone=CNN, initialization=f"file:{tmp_path / 'nowhere.pth'}")
    with pytest.raises(VitrialError, match=r"not at .*nowhere\.pth"):
        weights_file(arm)


@pytest.mark.parametrize("initialization", ["random", "random+dino", "transfer:other"])
def test_other_initializations_need_no_file(initialization):
    assert weights_file(Arm(backbone=CNN, initialization=initialization)) is None


def test_an_earlier_stage_gives_all_but_the_head(tmp_path):
    source = build_backbone(VIT, classes=5, channels=3, crop=64)
    save_file(contiguous(source), tmp_path / "best.safetensors")
    model = load_trained(build_backbone(VIT, 4, 3, 64), tmp_path / "best.safetensors")
    torch.testing.assert_close(model.blocks[3].attn.qkv.weight, source.blocks[3].attn.qkv.weight)
    with pytest.raises(VitrialError, match=r"another backbone"):
        load_trained(build_backbone(CNN, 4, 3, 64), tmp_path / "best.safetensors")
