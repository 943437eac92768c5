"""A DINO step end to end, beside the same step on views in memory and on torchvision's views.

    python benchmarks/selfsupervised.py [--quick] [--json PATH]

DeiT-S, batches of 8, 2 x 224 + 6 x 96 pixels, head of 4,096, bf16. End to end is what `pretrain`
does: pixels from the cache, all views made on the device, one optimizer step, the teacher's step.
It is compared with the same step on views that lie in memory, which no input pipeline can beat, and
with the same views made by torchvision from PIL images in 2 processes, as DINO's authors make them.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from PIL import Image as Picture
from table import Row, median_seconds, paired_ratio, publish, seconds_of_rounds
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from vitrial.data.batches import load, shuffled_order
from vitrial.data.prepared import Prepared, prepare_data
from vitrial.data.sources.phantom import PhantomData
from vitrial.models.backbone import build_backbone
from vitrial.protocol import Arm, Augment, Image, LocalViews, Split, View
from vitrial.seeds import generator_of
from vitrial.study.selfsupervise import started_siamese
from vitrial.train.launch import computes_bf16, launch
from vitrial.train.optimizer import build_optimizer
from vitrial.train.selfsupervised.methods.dino.recipe import Dino
from vitrial.train.selfsupervised.multicrop import multicrop
from vitrial.train.selfsupervised.pretrain import Pretraining, pretrain_step

BATCH, TARGET = 8, 0.95
RECIPE = Dino(batch_size=BATCH, output_dim=4096, local_views=LocalViews(count=6))
AUGMENT = Augment()


class TorchvisionViews(Dataset[list[torch.Tensor]]):
    """The same views by torchvision, image by image from PIL images."""

    def __init__(self, pixels: torch.Tensor, views: list[tuple[View, int]]) -> None:
        self.pictures = [Picture.fromarray(image.numpy()) for image in pixels]
        self.transforms = [_torchvision(view, size) for view, size in views]

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, i: int) -> list[torch.Tensor]:
        return [transform(self.pictures[i]) for transform in self.transforms]


def _torchvision(view: View, size: int) -> Any:
    jitter = RECIPE.jitter
    assert jitter is not None
    colors = (jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue)
    blur = v2.GaussianBlur(13, RECIPE.sigma)
    return v2.Compose(
        [
            v2.RandomResizedCrop(size, view.scale, AUGMENT.ratio, antialias=True),
            v2.RandomHorizontalFlip(AUGMENT.hflip),
            v2.RandomVerticalFlip(AUGMENT.vflip),
            v2.RandomApply([v2.ColorJitter(*colors)], jitter.p),
            v2.RandomGrayscale(RECIPE.grayscale),
            v2.RandomApply([blur], view.blur),
            v2.RandomSolarize(128, view.solarize),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.5] * 3, [0.25] * 3),
        ]
    )


def measure(data: Prepared, backbone: str, steps: int, rounds: int) -> list[Row]:
    images = data.without_labels()
    pretraining = Pretraining(images, RECIPE, AUGMENT, (0.5,) * 3, (0.25,) * 3, seed=0)
    fabric = launch(RECIPE.precision)
    start = build_backbone(backbone, 0, 3, AUGMENT.crop)
    siamese: Any = started_siamese(Arm(backbone=backbone), start, pretraining)
    siamese = siamese.to(memory_format=torch.channels_last)
    optimizer: Any = build_optimizer(siamese, "adamw", 1e-6, 0.04)
    network, optimizer = fabric.setup(siamese, optimizer)
    network.train()
    order = shuffled_order(steps * BATCH, BATCH, generator_of("benchmark"))
    # `order` draws from the first images alone, so that every round does the same work.
    pixels = images[order[0]]

    def step(views: list[torch.Tensor]) -> None:
        views = [view.to(fabric.device) for view in views]
        pretrain_step(network, siamese, optimizer, views, 1, 0.996, fabric)["loss"].item()

    def views_of(batch: torch.Tensor) -> list[torch.Tensor]:
        batch = batch.to(fabric.device)
        return multicrop(
            batch, siamese.views, RECIPE, AUGMENT, pretraining.mean, pretraining.std, "benchmark"
        )

    in_memory = views_of(pixels)

    def end_to_end() -> None:
        for batch in load(images, order, 0, fabric.device):
            step(views_of(batch))

    def ceiling() -> None:
        for _ in range(steps):
            step(in_memory)

    pictures = TorchvisionViews(images[torch.arange(steps * BATCH).numpy()], siamese.views)
    loader = DataLoader(pictures, BATCH, num_workers=2, persistent_workers=True)

    def torchvision() -> None:
        for views in loader:  # its processes stay from round to round, as within a long epoch
            step([view.contiguous(memory_format=torch.channels_last) for view in views])

    contenders = {"end to end": end_to_end, "ceiling": ceiling, "torchvision": torchvision}
    times = seconds_of_rounds(contenders, rounds)
    ours, best, theirs = (statistics.median(each) / steps for each in times.values())
    share = paired_ratio(times["ceiling"], times["end to end"])
    gain = paired_ratio(times["torchvision"], times["end to end"])
    views = median_seconds({"views": lambda: views_of(pixels)}, 5)["views"] / BATCH
    return [
        Row("views alone", 1e3 * views, "ms an image"),
        Row("step on views in memory", best, "s"),
        Row("step on torchvision's views of PIL images, 2 processes", theirs, "s"),
        Row("end to end: how much faster", ours, "s", "torchvision", gain, 1, gain >= 1),
        Row("end to end: share of the best", ours, "s", "views in memory", share, TARGET,
            share >= TARGET),
    ]  # fmt: skip


def main(
    backbone: Annotated[
        str, typer.Option(help="The name of a timm model.")
    ] = "deit_small_patch16_224",
    steps: Annotated[int, typer.Option(help="Steps a round.")] = 3,
    rounds: Annotated[int, typer.Option(help="Rounds of each that are timed.")] = 7,
    quick: Annotated[bool, typer.Option(help="End within a minute or so.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the rows here.")] = None,
) -> None:
    """Compare a DINO step from the pixel cache with the best possible, and with torchvision."""
    steps, rounds = (1, 2) if quick else (steps, rounds)
    with tempfile.TemporaryDirectory() as cache:
        phantoms = PhantomData(source="phantom", patients=20 + BATCH * steps, size=128)
        data = prepare_data(phantoms, Split(), Image(resize=256), Path(cache))
        rows = measure(data, backbone, steps, rounds)
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    precision = "bf16" if computes_bf16() else "fp32"
    publish(f"DINO, {backbone}, batches of {BATCH}, 2 x 224 + 6 x 96 pixels, {precision}, {where}, "
            f"{torch.get_num_threads()} threads", rows, json)  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
