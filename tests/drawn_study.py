"""Whole studies without training: real images and plan, predictions that are drawn."""

from dataclasses import replace

import numpy as np
import pandas as pd
from PIL import Image

from vitrial.data.audit.audit import audit_prepared
from vitrial.data.prepared import prepare_data
from vitrial.protocol import Protocol
from vitrial.store.history import record_protocol
from vitrial.store.run_folder import RunFolder
from vitrial.store.stage import Attempt, Machine, Normalization, Result
from vitrial.store.study import Study
from vitrial.study.plan import plan

HOSTILE = (
    "</script><script>alert('class')</script>",
    "\"double\" & 'single' quotes",
    "黑色素瘤",
    "=HYPERLINK(1)",
    "🫀 heart",
    "a name that goes on and on, as names of diseases do, " * 3,
)
"""Names of classes that a page may stumble over."""
MACHINE = Machine(device="cpu", precision="32-true", threads=1, cpu="x86_64")
PROGRAM = {"vitrial": "0.1.0+00000000", "torch": "2.9.0"}


def write_images(root, classes, patients=5):
    """A table and an image of 32 pixels for each patient; the names of classes are texts in it."""
    random = np.random.default_rng(0)
    rows = []
    for place, name in enumerate(classes):
        for patient in range(patients):
            file = f"{place}-{patient}.png"
            pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / file)
            rows.append({"image": file, "label": name, "patient": f"p{place}-{patient}"})
    pd.DataFrame(rows).to_csv(root / "table.csv", index=False)


def draw_study(root, cache, arms, *, classes, repetitions=1, failed=0, patients=5, **keys):
    """A study whose runs were never trained: their logits are drawn, better for later arms.

    Args:
        root: A new folder, for images and study.
        cache: For the pixel cache.
        arms: Of the protocol.
        classes: Names of the classes.
        repetitions: Of each arm.
        failed: So many runs, the first ones, failed.
        patients: Of each class.
        keys: Further ones of the protocol.
    """
    root.mkdir(parents=True)
    write_images(root, classes, patients)
    data = {"source": "csv", "root": str(root), "table": "table.csv", "group": "patient"}
    base = {"name": "drawn", "data": data, "image": {"resize": 32}, "augment": {"crop": 32}}
    stated = {"arms": arms, "endpoint": "balanced_accuracy", "repetitions": repetitions}
    protocol = Protocol.model_validate(base | stated | keys)
    prepared = prepare_data(protocol.data, protocol.split, protocol.image, cache)
    stages = plan(protocol, {"data": prepared.fingerprint()})
    path = root / "study"
    record_protocol(path, None, protocol)
    audit = audit_prepared(prepared, path / "audit")
    study = Study.write(path, protocol, prepared, stages, audit.problems)
    random = np.random.default_rng(1)
    for place, entry in enumerate(study.facts.stages):
        folder = RunFolder(path / entry.folder)
        folder.begin(Attempt(MACHINE, PROGRAM))
        if place < failed:
            with folder.claim():
                folder.fail("<b>the loss</b> is not finite")
            continue
        folder.write_predictions(_drawn(prepared, random, 1 + place / len(stages)))
        folder.finish(_result(study, place))
    return study


def _drawn(prepared, random, quality):
    """Predictions of validation and test images."""
    shown = prepared.manifest[prepared.manifest["split"] != "train"]
    targets, classes = shown["target"].to_numpy(), len(prepared.classes)
    logits = random.normal(size=(len(shown), classes))
    logits[np.arange(len(shown)), targets] += quality * 1.5
    columns = {f"logit_{c}": logits[:, c].astype(np.float32) for c in range(classes)}
    knn = np.where(random.random(len(shown)) < 0.5, targets, 0)
    facts = shown[["image", "label", "group", "split", "target"]].reset_index(drop=True)
    return facts.assign(knn=knn, **columns)


RESULT = Result(
    epochs=3,
    history=[],
    training_seconds=90.0,
    images_per_second=123.4,
    classes=(),
    normalization=Normalization((0.5,), (0.5,)),
    parameters=5_000_000,
    best_epoch=2,
    best_score=0.5,
    images=100,
)


def _result(study, place):
    history = [
        {"epoch": epoch, "train_loss": 1 / epoch, "score": 0.3 + 0.1 * epoch, "lr": 1e-3}
        for epoch in (1, 2, 3)
    ]
    return replace(
        RESULT,
        history=history,
        classes=study.facts.classes,
        training_seconds=60.0 + 7 * place,
    )


def many_arms(root, cache):
    """60 arms, a repetition each, of which one failed; hostile names and a hostile description."""
    arms = [
        {"backbone": ("test_resnet", "test_vit")[i % 2], "id": f"arm-{i:02}"} for i in range(60)
    ]
    comparisons = [
        {"treatment": f"arm-{i + 1:02}", "control": f"arm-{i:02}", "claim": "superior"}
        for i in range(0, 60, 2)
    ]
    description = "<script>alert('description')</script>"
    more = {"comparisons": comparisons, "description": description}
    return draw_study(root, cache, arms, classes=HOSTILE[:3], patients=12, failed=1, **more)


def many_classes(root, cache):
    """40 classes, of which some have hostile names; two arms, two repetitions."""
    arms = [{"backbone": "test_resnet"}, {"backbone": "test_vit"}]
    classes = [*HOSTILE, *(f"class {i}" for i in range(40 - len(HOSTILE)))]
    return draw_study(root, cache, arms, classes=classes, repetitions=2)


def one_arm(root, cache):
    """A single arm, a single repetition, two classes."""
    arms = [{"backbone": "test_resnet"}]
    return draw_study(root, cache, arms, classes=["no", "yes"], patients=12)


def repeated(root, cache):
    """Two arms, three repetitions, three classes: enough for every interval."""
    arms = [{"backbone": "test_resnet"}, {"backbone": "test_vit"}]
    return draw_study(root, cache, arms, classes=["a", "b", "c"], repetitions=3, patients=30)
