"""What the arms of a study answer to one more image, and how well they know its kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from vitrial.compare.scores import logits_of
from vitrial.compare.temperature import fit_temperature
from vitrial.data.cache import PixelCache
from vitrial.data.io.decode import decode
from vitrial.data.io.decoded import Decoded
from vitrial.errors import VitrialError
from vitrial.evaluate.neighborhood import NEEDED, UNLIKE, Neighborhood
from vitrial.evaluate.predict import outputs
from vitrial.events import counted
from vitrial.explain.features import Features, first_runs, read_features, write_features
from vitrial.explain.images import study_data
from vitrial.explain.measure import TrainedModel
from vitrial.explain.subject import seen_part
from vitrial.explain.trained import load_model
from vitrial.metrics.probabilities import probabilities_of
from vitrial.protocol import Image
from vitrial.store.run_folder import RunFolder
from vitrial.store.study import Study


@dataclass(frozen=True)
class Neighbor:
    """A training image that an arm finds like the one asked about.

    Attributes:
        image: Its name in the manifest.
        label: Its class.
        similarity: Cosine of the angle between their features, in [-1, 1].
        pixels: uint8 (height, width, channels), as it is in the pixel cache.
    """

    image: str
    label: str
    similarity: float
    pixels: np.ndarray


@dataclass(frozen=True)
class ArmAnswer:
    """What one arm's first run makes of an image.

    Attributes:
        arm: Its name.
        logits: float32 (classes,).
        probabilities: float64 (classes,), of the logits divided by `temperature`.
        temperature: Fitted on the run's validation images.
        method: Of the map: a name of `vitrial.explain.methods`.
        map: float32 (h, w), nonnegative, as coarse as the method gives it; it covers `seen`.
        seen: uint8 (crop, crop, channels), the part of the image that the model sees.
        neighbors: The nearest training images, the nearest first.
        rarity: See `Neighborhood.rarity`.
        validation: How many images that is judged by.
    """

    arm: str
    logits: np.ndarray
    probabilities: np.ndarray
    temperature: float
    method: str
    map: np.ndarray
    seen: np.ndarray
    neighbors: list[Neighbor]
    rarity: float
    validation: int

    @property
    def unlike(self) -> bool | None:
        """Whether the image is unlike the training images; None if too few images tell."""
        return self.rarity <= UNLIKE if self.validation >= NEEDED else None


@dataclass(frozen=True)
class Answer:
    """What the arms make of an image.

    Attributes:
        decoded: The image, prepared as in training.
        arms: In the order of the protocol.
    """

    decoded: Decoded
    arms: list[ArmAnswer]


@dataclass(frozen=True)
class Arm:
    """An arm's first run, ready to be asked.

    Attributes:
        name: The arm's.
        trained: The model.
        temperature: See `ArmAnswer`.
        neighborhood: Its training and validation images by their features.
        training: The training images in the order of the neighborhood: columns `image`, `label`
            and `row` (in the pixel cache).
    """

    name: str
    trained: TrainedModel
    temperature: float
    neighborhood: Neighborhood
    training: pd.DataFrame

    def answer(self, pixels: np.ndarray, cache: PixelCache) -> ArmAnswer:
        """What it makes of an image, uint8 (height, width, channels)."""
        trained, batch = self.trained, torch.from_numpy(pixels[None])
        given = outputs(trained.model, batch, trained.view, trained.autocast)
        logits, features = (part.cpu().numpy() for part in given)
        found = trained.maps(batch, trained.headline)
        rows, cosines = (one[0] for one in self.neighborhood.similar(features))
        near = self.training.iloc[rows]
        pictures = cache.read(near["row"].to_numpy(np.int64))
        named = zip(near["image"], near["label"], cosines, pictures, strict=True)
        return ArmAnswer(
            arm=self.name,
            logits=logits[0],
            probabilities=probabilities_of(logits[0] / self.temperature),
            temperature=self.temperature,
            method=trained.headline,
            map=found.values[0],
            seen=seen_part(batch, trained.view.crop)[0],
            neighbors=[Neighbor(*one) for one in named],
            rarity=float(self.neighborhood.rarity(features)[0]),
            validation=len(self.neighborhood.distances),
        )


@dataclass(frozen=True)
class Panel:
    """The arms of a study, to be asked about one image at a time.

    Attributes:
        name: The study's.
        classes: Class names, by class index.
        image: How images are prepared.
        arms: In the order of the protocol.
        cache: The study's images.
    """

    name: str
    classes: list[str]
    image: Image
    arms: list[Arm]
    cache: PixelCache

    def answer(self, content: bytes) -> Answer:
        """Ask every arm about an image file; it is prepared exactly as in training.

        Raises:
            VitrialError: It is no image that can be used.
        """
        decoded = decode(content, self.image)
        return Answer(decoded, [arm.answer(decoded.pixels, self.cache) for arm in self.arms])


def load_panel(study: Study, root: Path | None = None, cache: Path | None = None) -> Panel:
    """Make the arms of a study ready; features that are not on disk are computed.

    Args:
        study: With finished runs.
        root: Where the data lie now, in place of the protocol's data.root.
        cache: Where pixel caches lie.

    Raises:
        VitrialError: No run is done, or the data are not the study's.
    """
    runs = first_runs(study)
    if not runs:
        raise VitrialError(
            f"{study.path} has no finished run: `vitrial status` shows what there is."
        )
    data = study_data(study, root, cache)
    write_features(study, data)
    features = read_features(study)
    manifest = data.manifest.set_index("image", drop=False)
    loading = counted(runs.items(), "Loading the arms", len(runs))
    arms = [_arm(name, folder, features[name], manifest) for name, folder in loading]
    return Panel(study.protocol.name, data.classes, study.protocol.image, arms, data.cache)


def _arm(name: str, folder: RunFolder, features: Features, manifest: pd.DataFrame) -> Arm:
    train, val = (features.split == split for split in ("train", "val"))
    judged = folder.predictions().query("split == 'val'")
    return Arm(
        name,
        load_model(folder.path),
        fit_temperature(judged["target"].to_numpy(), logits_of(judged)),
        Neighborhood(features.values[train], features.values[val]),
        manifest.loc[features.images[train], ["image", "label", "row"]],
    )
