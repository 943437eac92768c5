import pytest
import timm
import torch
from torch import nn

from vitrial.models.family import HYBRIDS, OTHERS, TRANSFORMERS, family

FAMILIES = {
    "cnn": (
        *("resnet10t", "resnet50", "seresnet18", "ecaresnet26t", "resnest14d", "skresnet18"),
        *("vgg11", "densenet121", "efficientnet_b0", "tf_efficientnet_b0", "mobilenetv3_small_100"),
        *("convnext_atto", "regnety_002", "inception_v3", "resnetv2_18", "repvgg_a0"),
        "focalnet_tiny_srf",
        "resnet50_clip",  # its pooling attends
    ),
    "transformer": (
        *("deit_tiny_patch16_224", "deit_tiny_distilled_patch16_224", "vit_tiny_patch16_224"),
        *("vit_medium_patch16_gap_240", "beit_base_patch16_224", "eva02_tiny_patch14_224"),
        *("vit_small_patch16_dinov3", "vit_base_patch16_siglip_224", "cait_xxs24_224"),
        *("swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256", "xcit_nano_12_p16_224"),
        *("pvt_v2_b0", "twins_svt_small", "mvitv2_tiny", "hiera_tiny_224", "pit_ti_224"),
        *("davit_tiny", "volo_d1_224", "convit_tiny", "crossvit_tiny_240", "nest_tiny"),
    ),
    "hybrid": (
        *("coat_tiny", "coatnet_nano_rw_224", "maxvit_nano_rw_256", "mobilevit_xxs"),
        *("mobilevitv2_050", "levit_128", "efficientformer_l1", "vit_tiny_r_s16_p8_224"),
        *("edgenext_xx_small", "botnet26t_256", "visformer_tiny", "tiny_vit_5m_224"),
        *("mobilenetv4_hybrid_medium", "caformer_s18", "efficientvit_b0"),
    ),
    "other": ("mixer_s16_224", "resmlp_12_224", "gmlp_s16_224", "efficientvim_m1"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected"), [(name, of) for of, names in FAMILIES.items() for name in names]
)
def test_families_of_timms_models(name, expected):
    with torch.device("meta"):  # no memory, no random numbers
        model = timm.create_model(name, num_classes=3)
    assert family(model) == expected


def test_the_modules_named_are_timms():
    for module in (*TRANSFORMERS, *HYBRIDS, *OTHERS):
        assert hasattr(timm.models, module), module


def test_models_of_ones_own_are_judged_by_their_parts():
    attention = nn.MultiheadAttention(4, 2)
    patches, windows = nn.Conv2d(3, 4, 4, stride=4), nn.Conv2d(3, 4, 3)
    assert family(nn.Sequential(patches, attention)) == "transformer"
    assert family(nn.Sequential(windows, attention)) == "hybrid"
    assert family(nn.Sequential(windows)) == "cnn"
    assert family(nn.Sequential(nn.Linear(3, 3))) == "other"
