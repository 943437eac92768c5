"""What `imagenet` means: of all of timm's backbones, which have weights of ImageNet-1k alone.

    python benchmarks/imagenet.py [--quick] [--json PATH]

Counts over every architecture that timm has weights of: for how many `imagenet` finds weights that
were trained on ImageNet-1k alone, for how many it is refused, and how often timm's own default
(which `imagenet` once was) is other data, a self-supervised or unlabeled training, or another
recipe. Nothing is downloaded or built; it takes seconds, so `--quick` changes nothing.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from pathlib import Path

import timm
from table import Row, publish

from vitrial.models.names import has_weights, imagenet_tags, timm_name

ALONE, FEATURES = "ImageNet-1k alone", "no classes of ImageNet-1k (features of other data or tasks)"
MORE = "ImageNet-1k after other data, or by a teacher that saw it"


def default_was(architecture: str) -> str:
    """What timm's default weights of an architecture were trained on, by their tag."""
    tag = timm_name(architecture, "").partition(".")[2]
    if tag in imagenet_tags(architecture):
        return ALONE
    return MORE if re.search(r"in1k(_\d+)?$", tag) else FEATURES


def measure() -> list[Row]:
    """A row per count, as a share of the architectures that timm has weights of."""
    architectures = [name for name in timm.list_models() if has_weights(name)]
    n = len(architectures)
    resolved = {name: imagenet_tags(name)[0] for name in architectures if imagenet_tags(name)}
    defaults = Counter(map(default_was, architectures))
    changed = [
        name
        for name, tag in resolved.items()
        if timm_name(name, "") != f"{name}.{tag}" and default_was(name) == ALONE
    ]
    several = sum(len(imagenet_tags(name)) > 1 for name in resolved)
    elsewhere = sum(default_was(name) != ALONE for name in resolved)
    counts = {
        "architectures of timm": len(timm.list_models()),
        "with weights": n,
        "imagenet: found": len(resolved),
        "imagenet: found, among several tags": several,
        "imagenet: refused": n - len(resolved),
        f"timm's default: {ALONE}": defaults[ALONE],
        f"timm's default: {MORE}": defaults[MORE],
        f"timm's default: {FEATURES}": defaults[FEATURES],
        "found, where timm's default saw other data": elsewhere,
        "found, of a plainer recipe than timm's default": len(changed),
    }
    reference = "architectures with weights"
    return [Row(name, count, "backbones", reference, count / n) for name, count in counts.items()]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="changes nothing here")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    publish(f"What `imagenet` means in timm {timm.__version__}", measure(), arguments.json)
