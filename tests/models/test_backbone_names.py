"""Which of timm's weights `imagenet` means."""

import pytest
import timm

from vitrial.models.names import imagenet_name, imagenet_tags, timm_name

# What the papers and timm's own notes say that the weights saw.
ALONE = {
    "resnet50": "tv_in1k",
    "deit_small_patch16_224": "fb_in1k",
    "deit_tiny_patch16_224": "fb_in1k",
    "vit_small_patch16_224": "augreg_in1k",  # timm's default: augreg_in21k_ft_in1k
    "convnext_tiny": "fb_in1k",  # timm's default: in12k_ft_in1k
    "swin_tiny_patch4_window7_224": "ms_in1k",
    "efficientnet_b0": "ra_in1k",
    "tf_efficientnet_b0": "ap_in1k",  # timm's default: ns_jft_in1k
    "regnety_160": "deit_in1k",  # timm's default: swag_ft_in1k
    "xcit_nano_12_p16_224": "fb_in1k",
    "fastvit_t8": "apple_in1k",
    "hiera_tiny_224": "mae_in1k_ft_in1k",
    "convnextv2_atto": "fcmae_ft_in1k",
    "nextvit_small": "bd_in1k",  # timm's default: bd_ssld_6m_in1k
    "rdnet_large": "nv_in1k",  # timm's default: nv_in1k_ft_in1k_384
}
OTHERS = [
    "beit_base_patch16_224",  # ImageNet-22k
    "beitv2_base_patch16_224",  # ImageNet-22k, or tokens of CLIP
    "vit_small_patch14_dinov2",  # LVD-142M
    "eva02_tiny_patch14_336",  # ImageNet-22k
    "edgenext_base",  # ImageNet-21k, or a teacher that saw it
    "hgnetv2_b0",  # PaddlePaddle's SSLD
    "hrnet_w18_ssld",
    "resnetv2_50x1_bit",  # ImageNet-21k, or a teacher that saw it
]


@pytest.mark.parametrize(("backbone", "tag"), ALONE.items())
def test_imagenet_means_imagenet_1k_alone_by_the_plainest_recipe(backbone, tag):
    assert imagenet_name(backbone, "") == f"{backbone}.{tag}"
    assert f"{backbone}.{tag}" in timm.list_pretrained()


@pytest.mark.parametrize("backbone", OTHERS)
def test_a_backbone_whose_weights_saw_more_is_refused_with_its_tags(backbone):
    tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{backbone}.*")]
    with pytest.raises(ValueError, match="on ImageNet-1k alone") as error:
        imagenet_name(backbone, "")
    assert tags
    assert all(tag in str(error.value) for tag in tags)


def test_of_resnet50_all_but_three_tags_qualify():
    others = {"bamboo", "fb_ssl_yfcc100m_ft_in1k", "fb_swsl_ig1b_ft_in1k"}
    everything = {name.partition(".")[2] for name in timm.list_pretrained("resnet50.*")}
    assert set(imagenet_tags("resnet50")) == everything - others


def test_a_tag_may_be_named_if_it_qualifies():
    assert imagenet_name("resnet50", "a1_in1k") == "resnet50.a1_in1k"
    assert imagenet_name("resnet50.a1_in1k", "") == "resnet50.a1_in1k"
    with pytest.raises(ValueError, match=r"choose imagenet:TAG with tv_in1k, .*or say timm:bamboo"):
        imagenet_name("resnet50", "bamboo")
    with pytest.raises(ValueError, match="not trained on ImageNet-1k alone"):
        imagenet_name("resnet50.fb_swsl_ig1b_ft_in1k", "")
    with pytest.raises(ValueError, match="no tag 'a1_in2k' of resnet50, did you mean a1_in1k"):
        imagenet_name("resnet50", "a1_in2k")


def test_timm_means_timms_default():
    assert timm_name("resnet50", "") == "resnet50.a1_in1k"
    assert timm_name("resnet50", "bamboo") == "resnet50.bamboo"
