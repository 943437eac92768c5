"""Commands that train: run, demo, tune, prepare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitrial.cli.opening import print_result
from vitrial.cli.options import (
    Cache,
    Devices,
    Executor,
    ExecutorOption,
    Out,
    Overwrite,
    ProtocolName,
    Root,
    SkipMissing,
    Workers,
    pairs,
)
from vitrial.cli.sentences import out_console, report_problems, sentences
from vitrial.cli.serve import watched


def demo(
    out: Annotated[Path, typer.Option(help="The study's folder.")] = Path("studies/demo"),
    cache: Cache = None,
) -> None:
    """Run a whole trial on synthetic images, in a few minutes and without any download."""
    run("demo", out=out, cache=cache)


def run(
    protocol: Annotated[
        str,
        typer.Argument(help="A protocol file, the name of a built-in one, or a study's folder."),
    ],
    root: Root = None,
    out: Out = None,
    cache: Cache = None,
    workers: Workers = None,
    skip_missing: SkipMissing = False,
    executor: Executor = "inline",
    option: ExecutorOption = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Serve its report on this machine meanwhile.")
    ] = False,
    devices: Devices = 1,
) -> None:
    """Carry out a protocol; a study that was interrupted or damaged resumes."""
    with sentences():
        from vitrial.protocol.file import load_protocol, ready_protocols, relocated
        from vitrial.store.registration import holds_study, registered_protocol
        from vitrial.study.execute import run as run_study

        if protocol not in ready_protocols() and holds_study(Path(protocol)):
            chosen = relocated(registered_protocol(Path(protocol)), root)
            out = out or Path(protocol)
        else:
            chosen = load_protocol(protocol, root)
        with watched(out or Path("studies") / chosen.name, wanted=watch):
            study = run_study(
                chosen,
                out,
                cache=cache,
                workers=workers,
                skip_missing=skip_missing,
                executor=executor,
                options=pairs(option),
                devices=devices,
            )
        print_result(study)
        if not study.status()["status"].isin(["done", "skipped"]).all():
            raise typer.Exit(1)


def prepare(
    protocol: ProtocolName,
    root: Root = None,
    cache: Cache = None,
    problems: Annotated[
        Path | None, typer.Option(help="A CSV for the whole list of problems and notes.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Check a data set and decode it into the pixel cache, before any training."""
    with sentences(problems):
        from vitrial.outputs import refuse_existing
        from vitrial.protocol.file import load_protocol
        from vitrial.study.datasets import prepare_datasets

        if problems:
            refuse_existing(problems, overwrite)
        datasets = prepare_datasets(load_protocol(protocol, root), cache)
        found = [problem for data in datasets.values() for problem in data.problems]
        report_problems(found, out_console, problems)
        for name, data in datasets.items():
            counts = data.manifest["split"].value_counts()
            out_console.print(
                f"{name}: {data.name}, {len(data.manifest)} images of "
                f"{data.manifest['group'].nunique()} groups in {len(data.classes)} classes; "
                + ", ".join(f"{counts[split]} {split}" for split in ("train", "val", "test"))
                + f"; split {data.split_hash()}\n{data.cache.path}",
                soft_wrap=True,
                highlight=False,
            )


def tune(
    protocol: ProtocolName,
    rates: Annotated[
        list[float] | None, typer.Option("--rate", help="A base rate to try; repeat the option.")
    ] = None,
    root: Root = None,
    out: Out = None,
    cache: Cache = None,
    workers: Workers = None,
    skip_missing: SkipMissing = False,
    overwrite: Overwrite = False,
    executor: Executor = "inline",
    option: ExecutorOption = None,
    devices: Devices = 1,
) -> None:
    """Search each arm's base learning rate on validation, and write a protocol with the best."""
    with sentences():
        from vitrial.cli.tables import tuning_table
        from vitrial.protocol.file import load_protocol
        from vitrial.study.tune import RATES, tune_rates

        result = tune_rates(
            load_protocol(protocol, root),
            rates or RATES,
            out,
            cache=cache,
            workers=workers,
            skip_missing=skip_missing,
            overwrite=overwrite,
            executor=executor,
            options=pairs(option),
            devices=devices,
        )
        out_console.print(tuning_table(result))
        out_console.print(f"Protocol with the best rates: {result.path}", soft_wrap=True)
