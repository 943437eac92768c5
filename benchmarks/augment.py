"""How many images per second are augmented: vitrial against torchvision v2 and kornia.

32 color images of 256 x 256 become training views of 224 x 224 with the default augmentation,
float32 in [0, 1], channels_last. torchvision works image by image on uint8, as its documentation
advises; kornia on the float batch. kornia neither antialiases nor gives each image an order of the
color operations of its own, so it does a little less. On a CPU, each has one thread: these steps
are too short to share, and a second core is of more use to another batch.

    python benchmarks/augment.py [--quick] [--device cuda] [--json PATH]
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from table import Row, median_seconds, publish
from torch import Tensor
from torchvision.transforms import v2

from vitrial.data.augment import augment_batch, draw_views
from vitrial.protocol import Augment, Jitter

N, SIDE = 32, 256
AUGMENT, JITTER = Augment(), Jitter()
COLORS = JITTER.model_dump(exclude={"p"})
OURS, TORCHVISION, KORNIA = "vitrial", "torchvision v2, per image", "kornia, batched"


def vitrial(images: Tensor) -> Tensor:
    views = draw_views(AUGMENT, N, SIDE, torch.default_generator)
    return augment_batch(images, views, AUGMENT.crop)


def torchvision(images: Tensor) -> Callable[[], Tensor]:
    transform = v2.Compose(
        [
            v2.RandomResizedCrop(AUGMENT.crop, AUGMENT.scale, AUGMENT.ratio, antialias=True),
            v2.RandomHorizontalFlip(AUGMENT.hflip),
            v2.RandomVerticalFlip(AUGMENT.vflip),
            v2.RandomApply([v2.ColorJitter(**COLORS)], JITTER.p),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
    planes = images.permute(0, 3, 1, 2)
    return lambda: channels_last(torch.stack([transform(image) for image in planes]))


def kornia(images: Tensor) -> Callable[[], Tensor]:
    from kornia import augmentation as k

    size = (AUGMENT.crop, AUGMENT.crop)
    transform: Any = k.AugmentationSequential(
        k.RandomResizedCrop(size, AUGMENT.scale, AUGMENT.ratio, cropping_mode="resample"),
        k.RandomHorizontalFlip(p=AUGMENT.hflip),
        k.RandomVerticalFlip(p=AUGMENT.vflip),
        k.ColorJitter(**COLORS, p=JITTER.p),
        data_keys=["input"],
    )
    return lambda: channels_last(transform(images.permute(0, 3, 1, 2).float() / 255))


def finished(call: Callable[[], Tensor]) -> Callable[[], None]:
    """The call, with what it started on a GPU."""

    def run() -> None:
        if call().is_cuda:
            torch.cuda.synchronize()

    return run


def channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


def main(
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    quick: Annotated[bool, typer.Option(help="End within a minute.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the rows here.")] = None,
) -> None:
    """Time the augmentation of a batch."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    images = torch.randint(0, 256, (N, SIDE, SIDE, 3), dtype=torch.uint8).to(device)
    contenders = {OURS: lambda: vitrial(images), TORCHVISION: torchvision(images)}
    if importlib.util.find_spec("kornia"):
        contenders[KORNIA] = kornia(images)

    seconds = median_seconds(
        {name: finished(call) for name, call in contenders.items()},
        rounds=10 if quick else 50,
        budget=30 if quick else 300,
    )
    rows = [
        Row(
            name=name,
            value=N / seconds[name],
            unit="images/s",
            reference=TORCHVISION,
            ratio=seconds[TORCHVISION] / seconds[name],
        )
        for name in contenders
    ]
    if KORNIA not in contenders:
        rows.append(Row(f"{KORNIA} (optional: pip install kornia)", None, "images/s"))
    where = "one CPU thread" if device == "cpu" else torch.cuda.get_device_name()
    publish(f"Augmentation, {N} x {SIDE} x {SIDE} x 3, {where}", rows, json)


if __name__ == "__main__":
    typer.run(main)
