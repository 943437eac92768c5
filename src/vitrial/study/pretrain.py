"""Self-supervision alone: a folder of images without labels in, weights out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from vitrial.data.batches import UnlabeledImages
from vitrial.data.prepared import pixel_statistics
from vitrial.data.unlabeled import prepare_unlabeled
from vitrial.errors import VitrialError
from vitrial.layout import RUN, WEIGHTS
from vitrial.models.fits import refused_size, refused_views
from vitrial.models.initialization import weights_file, weights_record
from vitrial.outputs import refuse_foreign
from vitrial.protocol import Arm, Augment, Image, SelfSupervision, digest
from vitrial.protocol.checks import unknown_names
from vitrial.protocol.selfsupervision import RECIPES
from vitrial.records import read_record
from vitrial.seeds import seed_of
from vitrial.spelling import did_you_mean
from vitrial.store.run_folder import RunFolder
from vitrial.study.execute import default_workers
from vitrial.study.initial import initial_model
from vitrial.study.plan import code_version, content_of
from vitrial.study.run import machine
from vitrial.study.selfsupervise import started_siamese, summary
from vitrial.train.checkpoint import History
from vitrial.train.launch import launch
from vitrial.train.selfsupervised.pretrain import Pretraining, pretrain


def pretrain_folder(
    root: Path,
    arm: Arm,
    recipe: SelfSupervision,
    out: Path,
    *,
    image: Image | None = None,
    augment: Augment | None = None,
    seed: int = 0,
    cache: Path | None = None,
    workers: int | None = None,
    console: Console | None = None,
) -> Path:
    """Train a backbone on every image below a folder; an interrupted call goes on when repeated.

    Args:
        root: A folder or .zip; what its folders are called is of no consequence.
        arm: Backbone, and the weights to start from.
        recipe: Of a method of self-supervision.
        out: The folder of the weights, of the metrics and, meanwhile, of the checkpoint.
        image: How images are prepared.
        augment: Side of the large views, aspect ratios and flips.
        seed: Another seed trains otherwise.
        cache: Where pixel caches lie.
        workers: Processes that read batches ahead.
        console: Where progress is shown; standard error if left out.

    Returns:
        The file of the teacher's weights, a plain state dict of timm's without a head.

    Raises:
        VitrialError: There is no image, the weights cannot be had, `out` holds the result of
            another recipe or data, or training came to no good.
    """
    image, augment = image or Image(), augment or Augment()
    console = console or Console(stderr=True)
    refuse_foreign(out, (RUN,), "pretraining")
    if RunFolder(out).status != "done":
        weights_file(arm)  # looked for before images are decoded
    part, problems = prepare_unlabeled(root, image, cache, on_problem="leave_out", key="--data")
    if left_out := sum(problem.fatal for problem in problems):
        console.print(f"{left_out} images cannot be used and are left out.", highlight=False)
    images = UnlabeledImages([part])
    identity: dict[str, Any] = {
        "kind": "selfsupervise",
        "arm": arm.model_dump(mode="json"),
        "recipe": recipe.model_dump(mode="json"),
        "augment": augment.model_dump(mode="json"),
        "channels": image.channels,
        "crop": augment.crop,
        "classes": [],
        "seed": seed,
        "data": images.fingerprint(),
        "weights": content_of(arm),
        "code": code_version(),
    }
    folder = RunFolder(out)
    with folder.claim() as claimed:
        if not claimed:
            raise VitrialError(f"Another process is at work in {out}.")
        _refuse_another(out / RUN, identity)
        training_seed = seed_of("pretrain", arm.name, type(recipe).__name__, seed)
        for sentence in folder.repair(training_seed):
            console.print(sentence, soft_wrap=True, highlight=False)
        if folder.status == "done":
            return out / WEIGHTS
        fabric = launch(recipe.precision)
        folder.begin({**identity, "key": digest(identity), "machine": machine(fabric)})
        mean, std = pixel_statistics(*part)
        weights = weights_record(arm)
        start = initial_model(arm, 0, image.channels, augment.crop, training_seed)
        workers = default_workers() if workers is None else workers
        pretraining = Pretraining(images, recipe, augment, mean, std, training_seed, workers)

        def on_epoch(history: History) -> None:
            folder.write_metrics(history)
            row = history[-1]
            console.print(
                f"epoch {row['epoch']} of {recipe.epochs}: loss {row['loss']:.3f}, spread of "
                f"features {row['spread']:.2f}, {row['seconds']:.0f} s",
                highlight=False,
            )

        siamese = started_siamese(arm, start, pretraining)
        try:
            history = pretrain(siamese, pretraining, out, fabric, on_epoch=on_epoch)
        except VitrialError as error:
            folder.fail(str(error))
            raise
        folder.finish({**summary(history, pretraining), "weights": weights}, history)
    return out / WEIGHTS


def simple_recipe(
    backbone: str, start: str, method: str, epochs: int, batch_size: int, crop: int
) -> tuple[Arm, SelfSupervision, Image, Augment]:
    """The recipe of the paper in few numbers: the rest keeps its proportions.

    The warm-up takes a tenth of the epochs, at most 10; small views change with the large ones;
    images are prepared 8/7 as large.

    Raises:
        VitrialError: Something among it is unknown or does not fit.
    """
    methods = RECIPES.names()
    if method not in methods:
        hint = did_you_mean(method, methods)
        raise VitrialError(f"--method must be {' or '.join(methods)}, not '{method}'{hint}.")
    section = RECIPES.entry(method).RECIPE
    changes: dict[str, Any] = {
        "epochs": epochs,
        "batch_size": batch_size,
        "warmup_epochs": min(10, epochs // 10),
        **section.in_proportion(crop),
    }
    try:
        arm = Arm(backbone=backbone, initialization=start)
        recipe: SelfSupervision = section(**changes)
        image, augment = Image(resize=crop * 8 // 7), Augment(crop=crop)
    except ValidationError as error:
        raise VitrialError(" ".join(_sentence(fault) for fault in error.errors())) from error
    if arm.origin.kind == "transfer" or arm.origin.method:
        raise VitrialError(
            f"--start must be random, imagenet, timm:TAG or file:PATH, not '{start}'."
        )
    if unknown := [clash.sentence for clash in unknown_names([arm])]:
        raise VitrialError(f"{unknown[0]}.")
    why = refused_size(arm.model, image.channels, crop, "--crop") or refused_views(
        arm.model, image.channels, crop, recipe
    )
    if why is not None:
        raise VitrialError(f"{why}.")
    return arm, recipe, image, augment


def _sentence(fault: Any) -> str:
    return f"{' '.join(map(str, fault['loc']))}: {fault['msg']}."


def _refuse_another(path: Path, identity: dict[str, Any]) -> None:
    """Refuse a folder that holds something else, or of which that cannot be told."""
    if not path.exists():
        return
    way_out = "nobody can tell what its folder holds, so name another with --out"
    if read_record(path, way_out, ("machines",)).get("key") != digest(identity):
        raise VitrialError(
            f"{path.parent} holds the result of another recipe, data set or version of the "
            "program: name another folder with --out."
        )
