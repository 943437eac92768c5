"""Studies whose runs were never trained: their predictions are drawn, by a known quality."""

import numpy as np
import pandas as pd

from vitrial.compare.simulation import draw_logits, draw_test_set
from vitrial.protocol import Protocol
from vitrial.records import write_record
from vitrial.store.run_folder import RunFolder
from vitrial.store.stage import Normalization, Result
from vitrial.store.study import load_study

CNN, VIT = "resnet10t", "vit_tiny_patch16_224"
SHARES = (0.5, 0.3, 0.2)
RESULT = Result(
    epochs=1,
    history=[{"epoch": 1, "train_loss": 1.0, "score": 0.5}],
    training_seconds=1.0,
    images_per_second=1.0,
    classes=("a", "b", "c"),
    normalization=Normalization(mean=(0.0,), std=(1.0,)),
)


def protocol(**keys):
    base = {
        "name": "simulated",
        "data": {"source": "phantom"},
        "image": {"resize": 32},
        "augment": {"crop": 32},
        "dino": {"local_views": {"size": 32}},
        "arms": [
            {"backbone": backbone, "initialization": start}
            for start in ("random", "timm", "timm+dino")
            for backbone in (CNN, VIT)
        ],
        "endpoint": "balanced_accuracy",
        "repetitions": 3,
    }
    return Protocol.model_validate(base | keys)


def write_study(root, protocol, qualities, images=300, shares=SHARES, seed=1):
    """A study whose runs have these qualities, by arm; arms that are left out have no run."""
    generator = np.random.default_rng(seed)
    test = draw_test_set(images, shares, (1, 3), generator)
    flat = [quality for of_arm in qualities.values() for quality in of_arm]
    logits = iter(draw_logits(test, flat, generator))
    facts = {"image": [f"i{i}" for i in range(len(test.targets))], "target": test.targets}
    labels = np.array(list("abcdefghij"))[test.targets]
    facts |= {"label": labels, "group": test.groups.astype(str), "split": "test"}
    table = pd.DataFrame(facts)
    stages = []
    for arm, of_arm in qualities.items():
        for repetition, _ in enumerate(of_arm, 1):
            backbone, _, start = arm.partition(" / ")
            folder = f"runs/{backbone}-{start}-{repetition}"
            drawn = next(logits)
            columns = {f"logit_{c}": drawn[:, c] for c in range(len(shares))}
            (root / folder).mkdir(parents=True)
            RunFolder(root / folder).write_predictions(table.assign(knn=0, **columns))
            RunFolder(root / folder).finish(RESULT)
            stages.append(
                {"folder": folder, "kind": "finetune", "name": f"{arm}, repetition {repetition}"}
                | {"arm": arm, "backbone": backbone, "initialization": start}
                | {"repetition": repetition, "start": None}
            )
    registered = {"protocol": protocol.hash(), "registered": protocol.model_dump(mode="json")}
    known = {"classes": ["a", "b", "c"], "fingerprint": "f", "split": "s", "data": "drawn"}
    write_record(root / "study.json", {**registered, **known, "stages": stages})
    return load_study(root)
