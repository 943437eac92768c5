"""Where an arm's weights start: at random, in a file, or in a stage that vitrial trained before."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import load_state_dict
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
        raise VitrialError(f"The weights of {arm.backbone} are not at {local}: correct the path.")
    cfg = pretrained_cfg(arm.model)
    if not cfg.hf_hub_id:
        raise VitrialError(
            f"The weights of {arm.model} are not on timm's hub: fetch {cfg.url} and put it at "
            f"{local}, or name a file of your own by file:PATH as the arm's initialization."
        )
    return _download(arm.model, cfg.hf_hub_id, local)


def local_weights(arm: Arm) -> Path | None:
    """Where a file of an arm's weights is looked for, before timm's hub is asked."""
    if arm.origin.kind == "file":
        return Path(arm.origin.of)
    if arm.tag is None:
        return None
    cfg = pretrained_cfg(arm.model)
    suffix = ".safetensors" if cfg.hf_hub_id else Path(cfg.url).suffix
    return default_root() / "weights" / f"{arm.model}{suffix}"


def weights_record(arm: Arm) -> dict[str, str | None] | None:
    """What a run's record says of the file that it started from: `tag`, `file`, `sha256`.

    Returns:
        None if it starts from random weights or from another stage.

    Raises:
        VitrialError: There is no file.
    """
    path = weights_file(arm)
    if path is None:
        return None
    name = path.name if arm.tag is None else arm.model
    return {"tag": arm.tag, "file": name, "sha256": sha256_of(path)}


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
            "your own by file:PATH as the arm's initialization."
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
    """Refuse weights that do not cover the model: timm passes over what a file lacks.

    `untrained` was drawn from the same random state, so what differs from it came from the file.
    What equals it may be in the file all the same (a bias of zeros): under its own name, or, where
    timm renames what it reads, under one that the model does not know.
    """
    head, drawn = tuple(_head_names(model)), untrained.state_dict()
    suspects = {
        name: value
        for name, value in model.state_dict().items()
        if value.is_floating_point() and not name.startswith(head)
        if torch.equal(value, drawn[name])
    }
    if not suspects:
        return
    content = load_state_dict(str(weights), weights_only=True)
    renamed = [value for name, value in content.items() if name not in drawn]
    missing = [
        name
        for name, value in suspects.items()
        if name not in content and not any(_same(value, other) for other in renamed)
    ]
    if missing:
        raise VitrialError(
            f"{weights} does not fit {backbone}: it has no {_listing(missing)}. Name a complete "
            "file of this architecture, with its parameters named as timm names them."
        )


def _same(value: torch.Tensor, other: Any) -> bool:
    if not isinstance(other, torch.Tensor) or value.numel() != other.numel():
        return False
    return torch.equal(value.flatten(), other.flatten().to(value.dtype))


def _listing(names: list[str], shown: int = 5) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def load_trained(model: nn.Module, weights: Path) -> nn.Module:
    """Start from the weights of an earlier stage of the same backbone, all but its head.

    Raises:
        VitrialError: The file is not of this backbone.
    """
    head = tuple(_head_names(model))
    state = {k: v for k, v in load_file(weights).items() if not k.startswith(head)}
    missing, unexpected = model.load_state_dict(state, strict=False)
    foreign = [k for k in missing if not k.startswith(head)] + list(unexpected)
    if foreign:
        raise VitrialError(f"{weights} is of another backbone: {foreign[0]} does not match.")
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
