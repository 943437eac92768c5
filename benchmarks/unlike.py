"""How many images of another kind are found unlike the training images, and of the same kind.

Small models are trained on real skin lesions (HAM10000). Then lesions of patients that they have
not seen, real chest X-rays (PneumoniaMNIST), and phantoms of skin lesions, fundi and breasts are
prepared as `vitrial serve` prepares a dropped image. Printed is, for several k and shares, how many
of each kind count as unlike (see `vitrial.evaluate.neighborhood`), and how well the distance alone
tells the kinds apart (AUC).

    python benchmarks/unlike.py --data FOLDER [--quick] [--json PATH]

FOLDER holds `ham10000` and `pneumoniamnist`.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image
from sklearn.metrics import roc_auc_score
from table import Row, publish

import vitrial
from vitrial.data.io.decode import decode
from vitrial.data.sources import load_dataset
from vitrial.evaluate.neighborhood import Neighborhood
from vitrial.evaluate.predict import outputs
from vitrial.explain.features import first_runs, read_features, write_features
from vitrial.explain.images import study_data
from vitrial.explain.measure import TrainedModel
from vitrial.explain.trained import load_model
from vitrial.protocol import Image as ImageSection
from vitrial.protocol.one_line import named_data

PROTOCOL = """
name: unlike
data: {{source: ham10000, root: {root}, limit: {limit}}}
image: {{resize: 72}}
augment: {{crop: 64}}
split: {{fractions: [0.6, 0.2, 0.2]}}
arms:
  - {{backbone: [resnet10t, xcit_nano_12_p16_224], initialization: random}}
recipe: {{base_lr: 1.0e-3, batch_size: 32, warmup_steps: 50, epochs: {epochs}}}
endpoint: balanced_accuracy
repetitions: 1
"""
DRAWN = {
    "drawn skin lesions": "dermoscopy",
    "drawn fundi": "fundus",
    "drawn mammograms": "mammogram",
}
SAME = "other lesions"
SPLITS = ("train", "val", "test")
NEIGHBORS = (1, 5, 10)
SHARES = (0.01, 0.05)


def chest_xrays(root: Path) -> Iterator[bytes]:
    """Files of real chest X-rays: the test images of a PneumoniaMNIST file, as PNG."""
    with np.load(next((root / "pneumoniamnist").glob("*.npz"))) as arrays:
        for pixels in arrays["test_images"]:
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "PNG")
            yield file.getvalue()


def phantoms(task: str) -> Iterator[bytes]:
    """Files of drawn images."""
    dataset = load_dataset(named_data(f"phantom:{task}")[0])
    return map(dataset.reader.read, dataset.manifest["image"])


def prepared(files: Iterator[bytes], image: ImageSection, count: int) -> torch.Tensor:
    """The first images, prepared like those of a study: uint8 (n, side, side, 3)."""
    return torch.from_numpy(np.stack([decode(file, image).pixels for file in islice(files, count)]))


def features_of(trained: TrainedModel, pixels: torch.Tensor) -> np.ndarray:
    """What a model makes of images before its head: (n, features)."""
    parts = np.array_split(np.arange(len(pixels)), -(-len(pixels) // 100))
    asked = [outputs(trained.model, pixels[p], trained.view, trained.autocast)[1] for p in parts]
    return torch.cat(asked).cpu().numpy()


def judged(arm: str, k: int, near: Neighborhood, found: dict[str, np.ndarray]) -> list[Row]:
    """How many images of each kind count as unlike, and how well distances tell them apart."""
    far = {name: near.distance(features) for name, features in found.items()}
    rows = []
    for name, features in found.items():
        for share in SHARES:
            flagged = 100 * float(np.mean(near.rarity(features) <= share))
            rows.append(Row(f"{arm}, k = {k}: {name}, p <= {share}", flagged, "%"))
        if name != SAME:
            truth = [0] * len(far[SAME]) + [1] * len(far[name])
            auc = float(roc_auc_score(truth, np.concatenate([far[SAME], far[name]])))
            rows.append(Row(f"{arm}, k = {k}: {name}, AUC", auc, ""))
    return rows


def main(
    data: Annotated[Path, typer.Option(help="Where ham10000 and pneumoniamnist lie.")] = Path(
        "../shared/data"
    ),
    quick: Annotated[bool, typer.Option(help="Fewer images and epochs.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the rows here.")] = None,
) -> None:
    """Train, and ask for the features of images of every kind."""
    limit, epochs, count = (800, 2, 100) if quick else (2000, 4, 200)
    files = {"chest X-rays": chest_xrays(data)}
    files |= {name: phantoms(task) for name, task in DRAWN.items()}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file, root = Path(folder) / "unlike.yaml", (data / "ham10000").resolve()
        file.write_text(PROTOCOL.format(root=root, limit=limit, epochs=epochs))
        study = vitrial.run(vitrial.load_protocol(file), f"{folder}/study")
        write_features(study, study_data(study, None, None))
        image = study.protocol.image
        others = {name: prepared(of, image, count) for name, of in files.items()}
        for arm, features in read_features(study).items():
            trained = load_model(first_runs(study)[arm].path)
            of = {split: features.values[features.split == split] for split in SPLITS}
            found = {SAME: of["test"]}
            found |= {name: features_of(trained, pixels) for name, pixels in others.items()}
            for k in NEIGHBORS:
                rows += judged(arm, k, Neighborhood(of["train"], of["val"], k), found)
    publish("Images that count as unlike the training images", rows, json)


if __name__ == "__main__":
    typer.run(main)
