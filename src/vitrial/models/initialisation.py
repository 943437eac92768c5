"""Where an arm's weights start: random, ImageNet, or a stage that vitrial trained before."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from vitrial.data.cache import default_root
from vitrial.errors import VitrialError
from vitrial.models.backbone import build_backbone, pretrained_cfg


def imagenet_weights(backbone: str, given: Path | None) -> Path:
    """The file with a backbone's ImageNet weights: the given one, a local copy, or timm's hub.

    Raises:
        VitrialError: There is none, with a sentence saying which file to put where.
    """
    if given is not None:
        if not given.is_file():
            raise VitrialError(f"The weights of {backbone} are not at {given}: mend `weights`.")
        return given
    cfg = pretrained_cfg(backbone)
    if not cfg.hf_hub_id:
        raise VitrialError(
            f"timm has no ImageNet weights for {backbone}: choose another backbone, or name a "
            "local file with `weights`."
        )
    local = local_weights(backbone)
    return local if local.is_file() else _download(backbone, cfg.hf_hub_id, local)


def local_weights(backbone: str) -> Path:
    """Where a file of a backbone's ImageNet weights is looked for before the hub is asked."""
    cfg = pretrained_cfg(backbone)
    return default_root() / "weights" / f"{cfg.architecture}.{cfg.tag}.safetensors"


def _download(backbone: str, hub: str, local: Path) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import LocalEntryNotFoundError

    file = "model.safetensors"
    try:
        return Path(hf_hub_download(hub, file, local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    try:
        # Asked once and briefly: the download itself would retry for half a minute.
        get_hf_file_metadata(hf_hub_url(hub, file), timeout=5)
        return Path(hf_hub_download(hub, file))
    except Exception as error:  # no network, a proxy's refusal, a hub that is down
        raise VitrialError(
            f"The ImageNet weights of {backbone} could not be downloaded: on a machine with "
            f"network, fetch {file} from https://huggingface.co/{hub} and put it "
            f"at {local}, or name a file of your own with `weights` in the arm."
        ) from error


def load_imagenet(
    backbone: str, weights: Path, classes: int, channels: int, crop: int
) -> nn.Module:
    """Build a backbone from a file of ImageNet weights (.safetensors, or .pth without code).

    timm adapts stem, position embedding and head to channels, crop and classes.

    Raises:
        VitrialError: The file is damaged, holds code, or belongs to another architecture.
    """
    state = torch.get_rng_state()
    untrained = build_backbone(backbone, classes, channels, crop)
    torch.set_rng_state(state)
    try:
        model = build_backbone(
            backbone,
            classes,
            channels,
            crop,
            pretrained=True,
            pretrained_cfg_overlay={"file": str(weights), "custom_load": False},
        )
    except (SafetensorError, EOFError, OSError) as error:
        raise VitrialError(f"{weights} is damaged ({error}): fetch it again.") from error
    except (RuntimeError, KeyError, ValueError, pickle.UnpicklingError) as error:
        if "weights_only" in str(error):
            raise VitrialError(
                f"{weights} holds more than weights (code that would run when loaded): refused. "
                "Save a plain state dict, best as .safetensors."
            ) from error
        if "PytorchStreamReader" in str(error) or "zip archive" in str(error):
            raise VitrialError(f"{weights} is damaged: fetch it again.") from error
        raise VitrialError(
            f"{weights} does not fit {backbone}: {_first_line(error)} Name the file of this "
            "architecture."
        ) from error
    _refuse_unloaded(model, untrained, backbone, weights)
    return model


def _refuse_unloaded(model: nn.Module, untrained: nn.Module, backbone: str, weights: Path) -> None:
    """Refuse weights that timm passed over, as it does silently for a file of other names.

    `untrained` was drawn from the same random state: what equals it was not in the file.
    """
    head, drawn = tuple(_head_names(model)), untrained.state_dict()
    unloaded = [
        name
        for name, value in model.state_dict().items()
        if value.ndim > 1 and not name.startswith(head) and torch.equal(value, drawn[name])
    ]
    if unloaded:
        raise VitrialError(
            f"{weights} does not fit {backbone}: it has no {unloaded[0]}. Name a file of this "
            "architecture, with its parameters named as timm names them."
        )


def load_trained(model: nn.Module, weights: Path) -> nn.Module:
    """Start from the weights of an earlier stage of the same backbone, all but its head.

    Raises:
        VitrialError: The file is not of this backbone.
    """
    head = tuple(_head_names(model))
    state = {k: v for k, v in load_file(weights).items() if not k.startswith(head)}
    missing, unexpected = model.load_state_dict(state, strict=False)
    strangers = [k for k in missing if not k.startswith(head)] + list(unexpected)
    if strangers:
        raise VitrialError(f"{weights} is of another backbone: {strangers[0]} does not match.")
    return model


def _head_names(model: nn.Module) -> list[str]:
    cfg: Any = model.pretrained_cfg
    classifier = cfg["classifier"]
    return [f"{name}." for name in ((classifier,) if isinstance(classifier, str) else classifier)]


def _first_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) < 200 else f"{text[:200]}..."
