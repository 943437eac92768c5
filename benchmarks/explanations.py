"""What a map costs beside an answer, and memory over many images.

Each method's time on a batch stands against the same model's forward pass, measured in turn in one
process. Then Grad-CAM and attention are measured, with localization, on few images and on many
phantoms, for each model in a process of its own: memory must not grow with their number.

    python benchmarks/explanations.py [--quick] [--json PATH]
"""

from __future__ import annotations

import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import torch
import typer
from table import Row, median_seconds, publish

from vitrial.data.prepared import prepare_data
from vitrial.data.sources import load_dataset
from vitrial.data.sources.phantom import PhantomData
from vitrial.evaluate.predict import CentralView
from vitrial.explain.maps import explain_images, fitting_methods, frozen
from vitrial.explain.measure import TrainedModel, measure
from vitrial.explain.subject import Subject
from vitrial.models.backbone import build_backbone
from vitrial.protocol import Image, Split

BACKBONES = {"resnet50": "gradcam", "deit_small_patch16_224": "attention"}
SIDE, QUICK_SIDE = 224, 96
BATCH, QUICK_BATCH = 8, 1
FEW, MANY = 100, 1000
TOLERANCE = 1.15


def costs(backbone: str, side: int, batch: int, rounds: int) -> list[Row]:
    """Milliseconds an image of each method that fits, against a forward pass, in float32."""
    torch.manual_seed(0)
    model = build_backbone(backbone, 7, 3, side).eval()
    images = torch.randn(batch, 3, side, side)

    def forward() -> None:
        with frozen(model), torch.inference_mode():
            model(images)

    contenders = {"forward pass": forward} | {
        method: lambda method=method: explain_images(model, images, method)
        for method in fitting_methods(model, images[:1])
    }
    seconds = median_seconds(contenders, rounds, budget=120)
    reference = f"{backbone}: forward pass"
    return [
        Row(f"{backbone}: {name}", 1000 * taken / batch, "ms an image", reference,
            taken / seconds["forward pass"])
        for name, taken in seconds.items()
    ]  # fmt: skip


def many(
    backbone: str, side: int, counts: tuple[int, int], folder: Path
) -> list[tuple[float, float]]:
    """Measure a map of each of few and many phantoms: peak resident megabytes, and seconds."""
    data = PhantomData(source="phantom", patients=counts[1], size=64)
    prepared = prepare_data(data, Split(), Image(resize=side), folder)
    reader = load_dataset(data).reader
    torch.manual_seed(0)
    model = build_backbone(backbone, len(prepared.classes), 3, side).eval()
    view = CentralView(side, prepared.mean, prepared.std, torch.device("cpu"))
    method = BACKBONES[backbone]
    trained = TrainedModel(
        model, view, nullcontext, prepared.classes, {method: (side // 16, side // 16)}, method
    )
    found = []
    for count in counts:  # the peak of few comes first, and can only grow
        subject = Subject(prepared.manifest.iloc[:count], prepared.cache, reader, side)
        started = time.perf_counter()
        measure(trained, subject, method, faithful=False)
        taken = time.perf_counter() - started
        found.append((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, taken))
    return found


def main(
    quick: Annotated[
        bool, typer.Option(help="Fewer and smaller images, and fewer rounds.")
    ] = False,
    json: Annotated[Path | None, typer.Option(help="Write the rows here.")] = None,
) -> None:
    """Time every method, and measure few and many images."""
    few, most = (32, 64) if quick else (FEW, MANY)
    side, batch, rounds = (QUICK_SIDE, QUICK_BATCH, 1) if quick else (SIDE, BATCH, 5)
    rows = [row for backbone in BACKBONES for row in costs(backbone, side, batch, rounds)]
    with tempfile.TemporaryDirectory() as folder:
        for backbone, method in BACKBONES.items():
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                asked = process.submit(many, backbone, side, (few, most), Path(folder))
                (first, _), (peak, taken) = asked.result()
            name = f"{backbone}: {method} of"
            ratio = peak / first
            rows += [
                Row(f"{name} {few}", first, "MB"),
                Row(f"{name} {most}", peak, "MB", f"{name} {few}", ratio, TOLERANCE,
                    ratio <= TOLERANCE),
                Row(f"{name} {most}", taken, "s"),
            ]  # fmt: skip
    publish("Maps: time beside a forward pass, and memory over many images", rows, json)


if __name__ == "__main__":
    typer.run(main)
