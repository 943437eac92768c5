"""Self-supervision alone: a folder of images without labels in, weights out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vitrial.errors import VitrialError
from vitrial.events import Listener, listening
from vitrial.layout import STAGE, WEIGHTS
from vitrial.legacy import RUN, path_of
from vitrial.models.fits import refused_size, refused_views
from vitrial.models.initialization import weights_file
from vitrial.outputs import refuse_foreign
from vitrial.protocol import Arm, Augment, Image, SelfSupervision
from vitrial.protocol.checks import unknown_names
from vitrial.protocol.selfsupervision import RECIPES, method_of
from vitrial.records import DamagedError
from vitrial.seeds import seed_of
from vitrial.spelling import did_you_mean
from vitrial.store.run_folder import RunFolder, lay_down
from vitrial.store.stage import Stage
from vitrial.study.carry_out import Work
from vitrial.study.datasets import prepare_folder
from vitrial.study.executors import executor_of
from vitrial.study.plan import content_of
from vitrial.study.versions import versions_of


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
    listen: Listener | None = None,
) -> Path:
    """Train a backbone on every image below a folder; an interrupted call resumes when repeated.

    Args:
        root: A folder or .zip; what its folders are called is of no consequence.
        arm: Backbone, and the weights to start from.
        recipe: Of a method of self-supervision.
        out: The folder of the weights, of the metrics and, meanwhile, of the checkpoint.
        image: How images are prepared.
        augment: Side of the large views, aspect ratios and flips.
        seed: Another seed trains otherwise.
        cache: Where pixel caches lie.
        workers: Threads that read batches ahead.
        listen: Called with each event of `vitrial.events`; the terminal shows them if left out.

    Returns:
        The file of the teacher's weights, a plain state dict of timm's without a head.

    Raises:
        VitrialError: There is no image, the weights cannot be had, `out` holds the result of
            another recipe or data, or training diverged.
    """
    image, augment = image or Image(), augment or Augment()
    refuse_foreign(out, (STAGE, RUN), "pretraining")
    with listening(listen):
        if RunFolder(out).status != "done":
            weights_file(arm)  # looked for before images are decoded
        data = prepare_folder(root, image, cache)
        stage = Stage(
            kind="selfsupervise",
            arm=arm.model_copy(
                update={"initialization": f"{arm.initialization}+{method_of(recipe)}"}
            ),
            repetition=None,
            dataset="",
            recipe=recipe,
            seed=seed_of("pretrain", arm.name, type(recipe).__name__, seed),
            versions=versions_of("selfsupervise"),
            image=image,
            augment=augment,
            data=None,
            weights=content_of(arm),
            unlabeled=data.without_labels().fingerprint(),
            images=root.absolute(),
        )
        _refuse_another(out, stage)
        lay_down(out, [stage])
        executor_of()(Work(out, cache, workers), [stage], {stage.dataset: data})
    folder = RunFolder(out)
    if folder.status != "done":
        raise VitrialError(folder.failure())
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
        known = " or ".join(methods)
        raise VitrialError(f"The method must be {known}, not '{method}'{hint or '.'}")
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
            f"The start must be random, imagenet, timm:TAG or file:PATH, not '{start}'."
        )
    if unknown := [clash.sentence for clash in unknown_names([arm])]:
        raise VitrialError(f"{unknown[0]}.")
    why = refused_size(arm.model, image.channels, crop, "a crop of") or refused_views(
        arm.model, image.channels, crop, recipe
    )
    if why is not None:
        raise VitrialError(f"{why}.")
    return arm, recipe, image, augment


def _sentence(fault: Any) -> str:
    return f"{' '.join(map(str, fault['loc']))}: {fault['msg']}."


def _refuse_another(out: Path, stage: Stage) -> None:
    """Refuse a folder that holds something else, or of which nothing is known."""
    if not path_of(out / STAGE).exists():
        return
    try:
        there = RunFolder(out).stage()
    except DamagedError as error:
        raise VitrialError(
            f"{error.path} is {error.what}: what its folder holds is unknown, so name another."
        ) from error
    if there.key != stage.key:
        raise VitrialError(
            f"{out} holds the result of another recipe, data set or version of the program: name "
            "another folder."
        )
