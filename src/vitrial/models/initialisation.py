"""Where an arm's weights start: at random, in a file, or in a stage that vitrial trained before."""

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
from vitrial.protocol import Arm


def weights_file(arm: Arm) -> Path | None:
    """The file that an arm starts from: its own, a local copy of timm's, or timm's hub.

    Returns:
        None if it starts from random weights or from another stage.

    Raises:
        VitrialError: There is no file, with a sentence saying which to put where.
    """
    if (local := local_weights(arm)) is None or local.is_file():
        return local
    if arm.origin.kind == "file":
        raise VitrialError(f"The weights of {arm.backbone} are not at {local}: mend the path.")
    hub = pretrained_cfg(arm.model).hf_hub_id
    if not hub:
        raise VitrialError(
            f"timm has no weights for {arm.model}: choose another backbone, or name a local file "
            "by file:PATH."
        )
    return _download(arm.model, hub, local)


def local_weights(arm: Arm) -> Path | None:
    """Where a file of an arm's weights is looked for, before timm's hub is asked."""
    if arm.origin.kind == "file":
        return Path(arm.origin.of)
    if arm.origin.kind not in ("imagenet", "timm"):
        return None
    cfg = pretrained_cfg(arm.model)
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
            f"The weights of {backbone} could not be downloaded: on a machine with network, fetch "
            f"{file} from https://huggingface.co/{hub} and put it at {local}, or name a file of "
            "your own by file:PATH as the arm's initialisation."
        ) from error


def load_weights(backbone: str, weights: Path, classes: int, channels: int, crop: int) -> nn.Module:
    """Build a backbone from a file of weights (.safetensors, or .pth without code).

    timm adapts stem and position embedding to channels and crop; a head for other classes than
    ImageNet's 1,000 starts anew.

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
        raise VitrialError(f"{weights} is empty or damaged: fetch it again.") from error
    except (KeyError, IndexError, AttributeError, TypeError) as error:
        raise VitrialError(_no_weights(weights, backbone)) from error
    except (RuntimeError, ValueError, pickle.UnpicklingError) as error:
        if "Unsupported operand" in str(error) or "magic number" in str(error):
            raise VitrialError(_no_weights(weights, backbone)) from error  # no pickle at all
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


def _no_weights(weights: Path, backbone: str) -> str:
    return (
        f"{weights} holds no weights of {backbone}: name a plain state dict of this architecture, "
        "a .safetensors or .pth file."
    )


def _first_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) < 200 else f"{text[:200]}..."
