"""A million images where no pixel is needed: seconds and memory of each step that sees them all.

The manifest is synthetic: patients with 1 to 6 images, 5 classes, sex, age and site, and copies of
files. Near copies are looked for among random hashes, with pairs planted that differ in 0 to 12
bits; a sample of the hashes is compared with all others as well, and has to give the same pairs.
Each step has a process of its own; memory is what it takes beyond what its input takes.

    python benchmarks/million.py [--images 1000000] [--quick] [--json PATH]
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from table import Row, publish

from vitrial.compare.cautions import Run
from vitrial.compare.findings import find, registered
from vitrial.compare.scores import run_scores
from vitrial.compare.table import arm_table
from vitrial.data.audit.alignment import POSES
from vitrial.data.audit.alike import compare_splits
from vitrial.data.audit.close_hashes import Index
from vitrial.data.audit.duplicates import BLOCK, _all_with_all, _by_index
from vitrial.data.audit.leakage import contradicting, join_groups, straddling_groups
from vitrial.data.audit.perceptual_hash import RADIUS
from vitrial.data.audit.shortcuts import find_shortcuts
from vitrial.data.split import split_hash, split_manifest
from vitrial.protocol import Arm, Protocol, Split
from vitrial.protocol.comparison import RegisteredComparison
from vitrial.store.facts import Entry
from vitrial.study.plan import plan

CLASSES = ["actinic", "basal", "keratosis", "melanoma", "nevus"]
SHARES = [0.05, 0.1, 0.15, 0.2, 0.5]
PLANTED = 1000
REPETITIONS = 5


def manifest(n: int) -> pd.DataFrame:
    """A manifest as a source lists it, with the columns that files and cache add."""
    generator = np.random.default_rng(0)
    patient = np.repeat(np.arange(n), generator.integers(1, 7, n))[:n]
    sha256 = np.arange(n)
    sha256[generator.integers(0, n, n // 1000)] = generator.integers(0, n, n // 1000)
    return pd.DataFrame(
        {
            "image": [f"patient-{p:07d}/{i:07d}.jpg" for i, p in enumerate(patient)],
            "label": np.array(CLASSES)[generator.choice(5, n, p=SHARES)],
            "group": [f"patient-{p:07d}" for p in patient],
            "sex": np.array(["female", "male"])[generator.integers(0, 2, n)[patient]],
            "age": generator.integers(0, 90, n)[patient],
            "site": [f"site {s}" for s in generator.integers(0, 12, n)[patient]],
            "sha256": [f"{s:064x}" for s in sha256],
            "row": np.arange(n),
            "bytes": generator.integers(10_000, 90_000, n),
            "width": generator.choice([600, 1024], n),
            "height": generator.choice([450, 768], n),
            "mode": "RGB",
            "suffix": ".jpg",
        }
    ).assign(aspect=lambda table: table["width"] / table["height"])


def audit(n: int) -> Callable[[], str]:
    """Groups that share files or near copies, contradicting labels, shortcuts by metadata."""
    table = manifest(n)
    ends = np.random.default_rng(1).integers(0, n, (2, n // 1000))
    near = {"first": ends.min(axis=0), "second": ends.max(axis=0), "kind": "near"}
    pairs = pd.DataFrame(near | {"correlation": 0.9})

    def step() -> str:
        joined, notes = join_groups(table, pairs)
        found = int(contradicting(table, pairs).sum())
        split = table.assign(group=joined, split=split_manifest(table, Split()))
        straddling = len(straddling_groups(split))
        shortcuts = find_shortcuts(table)
        return f"{len(notes)} notes, {found} contradict, {straddling + len(shortcuts)} more"

    return step


def split(n: int) -> Callable[[], str]:
    """Division by group, stratified by class, group size, sex and site; and how alike."""
    table = manifest(n)

    def step() -> str:
        parts = split_manifest(table, Split(stratify=["sex", "site"]))
        compare_splits(table.assign(split=parts))
        return split_hash(table["image"].tolist(), parts.tolist())

    return step


def plan_it(n: int) -> Callable[[], str]:
    """The stages of a trial of 40 arms and 25 repetitions: they know of no image."""
    arms = [
        Arm(backbone="resnet10t", initialization="random", id=f"arm-{i}").model_dump()
        for i in range(40)
    ]
    content = {"name": "million", "data": {"source": "phantom"}, "endpoint": "accuracy"}
    protocol = Protocol.model_validate(content | {"arms": arms, "repetitions": 25})
    return lambda: f"{len([s.key for s in plan(protocol, {'data': 'd', 'unlabeled': 'u'})])} stages"


def table_and_verdict(n: int) -> Callable[[], str]:
    """Scores, table and a comparison of 2 arms x 5 repetitions on 15% of the images."""
    table = manifest(n)[["image", "label", "group"]].iloc[: 15 * n // 100]
    target = np.searchsorted(CLASSES, table["label"])
    facts = table.assign(target=target, split="test", knn=target)
    generator = np.random.default_rng(2)
    runs = []
    for arm in ("cnn / random", "vit / random"):
        for repetition in range(1, REPETITIONS + 1):
            logits = generator.normal(size=(len(target), 5)) + 2 * np.eye(5)[target]
            columns = {f"logit_{c}": logits[:, c] for c in range(5)}
            runs.append((arm, repetition, facts.assign(**columns)))
    costs = dict.fromkeys(
        (
            *("parameters", "training_seconds", "pretraining_seconds"),
            *("pretraining_share_seconds", "total_seconds", "images_per_second"),
        ),
        1.0,
    ) | {"weights": None, "weights_sha256": None, "precision": "32-true", "device": "cpu"}

    def step() -> str:
        named = (
            (_entry(arm, repetition).__dict__, predictions, costs)
            for arm, repetition, predictions in runs
        )
        arms = [("random", arm.partition(" ")[0], arm) for arm in ("cnn / random", "vit / random")]
        arm_table(run_scores(named), "balanced_accuracy", arms)
        claim = RegisteredComparison(
            treatment="vit / random", control="cnn / random", claim="superior"
        )
        judged = [Run(arm, repetition, predictions) for arm, repetition, predictions in runs]
        asked = registered([claim], "balanced_accuracy", 0.02)
        return find(asked, judged, REPETITIONS)[0].verdict

    return step


def _entry(arm: str, repetition: int) -> Entry:
    backbone, _, start = arm.partition(" / ")
    return Entry("f", "finetune", f"{arm} {repetition}", arm, backbone, start, repetition, None)


def near_copies(n: int) -> Callable[[], str]:
    """Close pairs of hashes in every pose, by the index."""
    hashes = _hashes(n)

    def step() -> str:
        pairs = sum(len(first) for first, _ in _by_index(hashes, hashes[0], True))
        return f"{pairs} pairs"

    return step


def _hashes(n: int) -> np.ndarray:
    """Hashes uint64 (POSES, n), the last `PLANTED` of the first pose near some before them."""
    generator = np.random.default_rng(3)
    hashes = generator.integers(0, 2**63, (POSES, n), dtype=np.uint64)
    bits = np.uint64(1) << np.arange(63, dtype=np.uint64)
    originals = generator.integers(0, n - PLANTED, PLANTED)
    for i, original in enumerate(originals):
        changed = generator.permutation(63)[: i % (RADIUS + 1)]
        hashes[0, n - PLANTED + i] = np.bitwise_xor.reduce([hashes[0, original], *bits[changed]])
    return hashes


def agreement(n: int) -> list[Row]:
    """A block of the hashes: the same pairs by the index, and how much faster."""
    hashes = _hashes(n)
    block = hashes[:1, n - 4 * BLOCK[0] :]
    started = time.process_time()
    expected = [*_all_with_all(block, hashes[0], False)]
    between = time.process_time()
    first, second = Index(hashes[0]).close(block[0], RADIUS)
    ended = time.process_time()
    wanted = np.concatenate([np.stack(pairs, axis=1) for pairs in expected])
    same = {*map(tuple, wanted.tolist())} == {*zip(first.tolist(), second.tolist(), strict=True)}
    slow, fast = between - started, ended - between
    return [
        Row("the same pairs, of a block", float(same), "1: yes", "all with all", None, None, same),
        Row("a block of 1,024 by the index", fast, "s", "all with all", fast / slow),
    ]


STEPS: dict[str, Callable[[int], Callable[[], str]]] = {
    "audit of metadata": audit,
    "split": split,
    "plan, 1,000 runs": plan_it,
    "table and verdict": table_and_verdict,
    "near copies among hashes": near_copies,
}


def measure(name: str, n: int) -> tuple[float, float, str]:
    """Seconds of a step, its peak of memory in MB beyond its input's, and what it found."""
    step = STEPS[name](n)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    found = step()
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return seconds, (peak - before) / 1e3, found


def main(
    images: Annotated[int, typer.Option(help="Rows of the manifest.", min=10_000)] = 1_000_000,
    hashes: Annotated[
        int | None, typer.Option(help="Hashes among which near copies are looked for.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="30,000 images.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the rows here.")] = None,
) -> None:
    """Measure every step that sees all images, each in a process of its own."""
    n = 30_000 if quick else images
    rows = []
    for name in STEPS:
        size = hashes if hashes and name.startswith("near") else n
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            seconds, megabytes, found = process.submit(measure, name, size).result()
        rows += [
            Row(f"{name}, {size:,}: time", seconds, "s"),
            Row(f"{name}, {size:,}: memory", megabytes, "MB"),
        ]
        print(f"{name}: {found}, {seconds:.1f} s, {megabytes:.0f} MB", flush=True)
    publish(f"{n:,} images", [*rows, *agreement(hashes or n)], json)


if __name__ == "__main__":
    typer.run(main)
