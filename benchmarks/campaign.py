"""Damage to a small study: every file of it in turn.

A finished and an interrupted study with a self-supervised arm and explanations are copied; one
file is truncated, emptied, replaced, deleted, or has one bit flipped. Every command that reads the
study must then answer without a traceback and never with other figures in silence, and `vitrial
run` with `vitrial explain` must bring back the bits that were there.

    python benchmarks/campaign.py [--quick] [--only TEXT] [--json PATH]
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from json import loads
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import pandas as pd
import typer
from rich.console import Console
from table import Row, publish
from typer.testing import CliRunner, Result

PROTOCOL = """
name: campaign
data: {source: phantom, patients: 20, size: 40}
image: {resize: 40}
augment: {crop: 32}
arms:
  - {backbone: test_resnet, initialization: [random, random+dino]}
recipe: {batch_size: 16, warmup_steps: 1, epochs: 3, precision: fp32}
dino:
  {epochs: 2, warmup_epochs: 0, batch_size: 16, hidden_dim: 16, output_dim: 16, precision: fp32,
   local_views: {size: 32, count: 1}}
endpoint: balanced_accuracy
repetitions: 1
"""
KINDS = ("truncated", "emptied", "one bit", "foreign", "deleted")
EXPLAIN = ("--images", "2", "--method", "gradcam", "--no-faithful")
FAULTS = ("traceback", "no sentence", "silent", "not repaired")
EXPLAINED = "explanations"
TIMED = {"time", "seconds", "train_seconds", "milliseconds"}
LOCKS = {"lock"}
"""Without content."""


def invoke(*arguments: object) -> Result:
    """A command, in this process."""
    from vitrial.cli import app

    return CliRunner().invoke(app, list(map(str, arguments)))


def run_study(protocol: Path, out: Path, cache: Path, *, explained: bool) -> None:
    """A whole study."""
    for command in (
        ("run", protocol, "--out", out, "--cache", cache),
        *([("explain", out, *EXPLAIN, "--cache", cache)] if explained else []),
    ):
        if (result := invoke(*command)).exit_code:
            raise RuntimeError(result.output)


def interrupt_study(protocol: Path, out: Path, cache: Path) -> None:
    """A study that is interrupted after the second epoch of its last run."""
    from vitrial.train import checkpoint, fit

    calls = Counter[str]()

    def interrupting(*arguments: Any) -> None:
        save(*arguments)
        calls["saved"] += 1
        if calls["saved"] == 5:
            raise KeyboardInterrupt

    save = checkpoint.save_checkpoint
    with patch.object(fit, "save_checkpoint", interrupting):
        invoke("run", protocol, "--out", out, "--cache", cache)


def damage(path: Path, kind: str) -> None:
    """Damage a file, the same at every call."""
    content = path.read_bytes()
    if kind == "deleted":
        path.unlink()
    elif kind == "one bit":
        place = random.Random(path.name).randrange(8 * len(content))
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
    else:
        replacement = {"truncated": content[: len(content) // 2], "emptied": b""}
        path.write_bytes(replacement.get(kind, b'{"some": "other file"}\n'))


def bits(study: Path) -> dict[str, object]:
    """All that must be the same again: everything but times, pictures of them, and machines."""
    found: dict[str, object] = {}
    for path in sorted(study.rglob("*")):
        name = path.relative_to(study).as_posix()
        if name in ("protocol.yaml", "problems.csv") or path.suffix == ".safetensors":
            found[name] = path.read_bytes()
        elif path.suffix in (".parquet", ".jsonl"):
            try:
                found[name] = untimed(path)
            except (OSError, ValueError) as error:
                found[name] = f"cannot be read: {error}"
    return found


def untimed(path: Path) -> str:
    """A table as text, without its times."""
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
    else:
        table = pd.DataFrame([loads(line) for line in path.read_text().splitlines()])
    return str(table.drop(columns=[*TIMED & {*table}]).to_csv())


def attack(
    study: Path,
    name: str,
    kind: str,
    cache: Path,
    commands: tuple[str, ...],
    expected: dict[str, object],
) -> list[str]:
    """Damage a file of a copy, ask every command, repair.

    Args:
        study: The copy.
        name: The file's path below it.
        kind: Of `KINDS`.
        cache: Of pixels.
        commands: Which read the study before it is repaired.
        expected: What `bits` is to be of the repaired study.

    Returns:
        What should not be: `traceback`, `no sentence`, `silent` or `not repaired`, with details.
    """
    found: list[str] = []
    table = invoke("table", study, "--format", "csv").output
    damage(study / name, kind)
    all_done = " 0 left" in invoke("status", study).output
    for command in commands:
        options = {
            "table": ("--format", "csv"),
            "explain": (*EXPLAIN, "--cache", cache),
        }.get(command, ())
        result = invoke(command, study, *options)
        crash = result.exception is not None and not isinstance(result.exception, SystemExit)
        if crash or "Traceback" in result.output:
            found.append(f"traceback: {command}: {result.exception!r}")
        elif result.exit_code and "vitrial " not in result.output:
            found.append(f"no sentence: {command}: {result.output}")
        elif command == "table" and not result.exit_code and all_done and result.output != table:
            found.append(f"silent: {command}: {result.output}")
    run_again = invoke("run", study, "--cache", cache)
    if run_again.exit_code and "vitrial explain" not in run_again.output:
        found.append(f"not repaired: run: {run_again.output} {run_again.exception!r}")
    if (study / EXPLAINED).exists():
        explained = invoke("explain", study, *EXPLAIN, "--cache", cache)
        if explained.exit_code:
            found.append(f"not repaired: explain: {explained.output} {explained.exception!r}")
    after = bits(study)
    if different := [n for n in expected.keys() & after.keys() if after[n] != expected[n]]:
        found.append(f"not repaired: {sorted(different)} differ")
    if missing := [n for n in expected.keys() - after.keys() if not n.startswith(EXPLAINED)]:
        found.append(f"not repaired: {sorted(missing)} are missing")
    return found


def files_of(study: Path) -> list[str]:
    """Every file of a study but locks."""
    paths = (path for path in sorted(study.rglob("*")) if path.is_file())
    return [p.relative_to(study).as_posix() for p in paths if p.name not in LOCKS]


@contextmanager
def copied(study: Path) -> Iterator[Path]:
    """A copy of a study that may be damaged."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copytree(study, Path(folder) / "study"))


def main(
    quick: Annotated[bool, typer.Option(help="A kind of damage a file.")] = False,
    only: Annotated[str, typer.Option(help="Damage only files whose path contains this.")] = "",
    json: Annotated[Path | None, typer.Option(help="Write the rows here.")] = None,
) -> None:
    """Attack, and count."""
    console, rows, failures = Console(stderr=True), [], []
    commands: tuple[str, ...] = ("table", "status", "report", "explain")
    if quick:
        commands = commands[:2]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        protocol, cache = root / "campaign.yaml", root / "cache"
        protocol.write_text(PROTOCOL)
        run_study(protocol, root / "finished", cache, explained=not quick)
        interrupt_study(protocol, root / "interrupted", cache)
        expected = bits(root / "finished")
        for state in ("finished", "interrupted"):
            names = [name for name in files_of(root / state) if only in name]
            cases = [(name, kind) for name in names for kind in KINDS]
            if quick:
                cases = [(name, KINDS[i % len(KINDS)]) for i, name in enumerate(names)]
            counts = Counter[str]()
            for name, kind in cases:
                with copied(root / state) as study:
                    for what in attack(study, name, kind, cache, commands, expected):
                        counts[what.partition(":")[0]] += 1
                        failures.append(f"{state}, {name}, {kind}: {what}")
            rows.append(Row(f"{state}: files damaged", len(cases), "cases"))
            rows += [_none(f"{state}: {what}", counts[what]) for what in FAULTS]
    for failure in failures:
        console.print(failure, markup=False, highlight=False, soft_wrap=True)
    publish("Damage to a small study", rows, json)
    raise typer.Exit(bool(failures))


def _none(name: str, count: int) -> Row:
    return Row(name, count, "cases", "none", None, 0, count == 0)


if __name__ == "__main__":
    typer.run(main)
