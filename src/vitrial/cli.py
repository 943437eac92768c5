"""The command line: arguments, calls and printing, nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitrial.terminal import (
    BROKEN_PIPE,
    PipedConsole,
    Stopped,
    discard_output,
    escape_unprintable,
    stoppable,
)

if TYPE_CHECKING:
    from vitrial.protocol import Protocol
    from vitrial.store.study import Study

app = typer.Typer(
    help="Should this CNN be replaced by a Vision Transformer? A controlled trial on your images.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
protocol_app = typer.Typer(help="Read, check and copy protocols.", no_args_is_help=True)
app.add_typer(protocol_app, name="protocol")
weights_app = typer.Typer(help="Take weights out of a study.", no_args_is_help=True)
app.add_typer(weights_app, name="weights")
data_app = typer.Typer(help="Describe and audit data sets.", no_args_is_help=True)
app.add_typer(data_app, name="data")

out_console, err_console = PipedConsole(), PipedConsole(stderr=True)

ProtocolName = Annotated[str, typer.Argument(help="A protocol file, or the name of a ready one.")]
Root = Annotated[
    Path | None, typer.Option(help="Where the data lie, in place of the protocol's data.root.")
]
Out = Annotated[Path | None, typer.Option(help="The study's folder [default: studies/NAME].")]
Cache = Annotated[
    Path | None,
    typer.Option(
        help="Where decoded images are kept [default: ~/.cache/vitrial].", envvar="VITRIAL_CACHE"
    ),
]
Workers = Annotated[
    int | None, typer.Option(help="Processes that read batches ahead.", min=0, max=64)
]
SkipMissing = Annotated[
    bool,
    typer.Option("--skip-missing", help="Go on without the arms that something is missing for."),
]
StudyFolder = Annotated[Path, typer.Argument(help="The study's folder.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"vitrial {version('vitrial')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """What holds for every command."""
    escape_unprintable()


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="The study's folder.")] = Path("studies/demo"),
    cache: Cache = None,
) -> None:
    """Run a whole trial on synthetic images, in a few minutes and without any download."""
    run("demo", out=out, cache=cache)


@app.command()
def run(
    protocol: Annotated[
        str, typer.Argument(help="A protocol file, the name of a ready one, or a study's folder.")
    ],
    root: Root = None,
    out: Out = None,
    cache: Cache = None,
    workers: Workers = None,
    skip_missing: SkipMissing = False,
) -> None:
    """Carry out a protocol; a study that was interrupted or damaged goes on where it stopped."""
    with sentences():
        from vitrial.protocol.file import ready_protocols, relocated
        from vitrial.store.study import holds_study, registered_protocol
        from vitrial.study.execute import run as run_study

        if protocol not in ready_protocols() and holds_study(Path(protocol)):
            chosen = relocated(registered_protocol(Path(protocol)), root)
            out = out or Path(protocol)
        else:
            chosen = _load(protocol, root)
        study = run_study(chosen, out, cache=cache, workers=workers, skip_missing=skip_missing)
        _print_result(study)
        if not study.status()["status"].isin(["done", "skipped"]).all():
            raise typer.Exit(1)


@app.command()
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
        from vitrial.data.audit.checks import report_problems
        from vitrial.outputs import refuse_existing
        from vitrial.study.execute import prepare_datasets

        if problems:
            refuse_existing(problems, overwrite)
        datasets = prepare_datasets(_load(protocol, root), cache)
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


@app.command()
def compare(
    a: Annotated[
        str, typer.Argument(help="Predictions of the new model: a CSV or Parquet file, or several.")
    ],
    b: Annotated[str, typer.Argument(help="Predictions of the model in use, on the same images.")],
    endpoint: Annotated[str, typer.Option(help="The metric, such as kappa, recall or auc.")],
    margin: Annotated[float, typer.Option(help="Smallest difference that matters.")],
) -> None:
    """Compare two models by predictions from anywhere; a folder or pattern gives repetitions."""
    with sentences():
        from vitrial.compare.files import read_repetitions
        from vitrial.compare.predictions import compare_predictions

        found = compare_predictions(
            read_repetitions(a), read_repetitions(b), endpoint=endpoint, margin=margin
        )
        out_console.print(found.report(Path(a).stem, Path(b).stem), soft_wrap=True, highlight=False)


@app.command()
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
) -> None:
    """Search each arm's base learning rate on validation, and write a protocol with the best."""
    with sentences():
        from vitrial.study.tune import RATES, tune_rates, tuning_table

        result = tune_rates(
            _load(protocol, root),
            rates or RATES,
            out,
            cache=cache,
            workers=workers,
            skip_missing=skip_missing,
            overwrite=overwrite,
        )
        out_console.print(tuning_table(result))
        out_console.print(f"Protocol with the best rates: {result.path}", soft_wrap=True)


@app.command()
def pretrain(
    data: Annotated[Path, typer.Option(help="A folder or .zip of images; no labels are read.")],
    out: Annotated[Path, typer.Option(help="The folder for the weights.")],
    backbone: Annotated[str, typer.Option(help="A name of timm's.")] = "deit_small_patch16_224",
    method: Annotated[str, typer.Option(help="dino or byol.")] = "dino",
    start: Annotated[
        str, typer.Option(help="Weights to start from: random, imagenet, timm:TAG or file:PATH.")
    ] = "random",
    epochs: Annotated[int, typer.Option(min=1)] = 100,
    batch_size: Annotated[int, typer.Option(min=2)] = 64,
    crop: Annotated[
        int, typer.Option(help="Side of the large views; small ones have 3/7 of it.", min=32)
    ] = 224,
    seed: int = 0,
    cache: Cache = None,
    workers: Workers = None,
) -> None:
    """Train a backbone on images without labels, and write weights that timm loads."""
    with sentences():
        from vitrial.study.pretrain import pretrain_folder, simple_recipe

        arm, recipe, image, augment = simple_recipe(
            backbone, start, method, epochs, batch_size, crop
        )
        weights = pretrain_folder(
            data,
            arm,
            recipe,
            out,
            image=image,
            augment=augment,
            seed=seed,
            cache=cache,
            workers=workers,
        )
        out_console.print(f"Weights: {weights}", soft_wrap=True, highlight=False)


@weights_app.command("export")
def weights_export(
    folder: Annotated[Path, typer.Argument(help="The folder of a run or pretraining.")],
    out: Annotated[Path, typer.Argument(help="The .safetensors file to write.")],
    overwrite: Overwrite = False,
) -> None:
    """Write a run's or pretraining's weights as a plain file that timm loads without vitrial."""
    with sentences():
        from vitrial.store.weights import export_weights

        expression = export_weights(folder, out, overwrite)
        out_console.print(f"{out} is written. In Python:\n  {expression}", soft_wrap=True)


@data_app.command("info")
def data_info(
    name: Annotated[
        str | None,
        typer.Argument(help="A data set, such as isic2019 or medmnist:dermamnist."),
    ] = None,
) -> None:
    """Tell what a data set is, its terms, where to get it and how to name it in a protocol."""
    with sentences():
        from vitrial.data.sources.about import describe, titles

        shown = titles() if name is None else describe(name)
        out_console.print(shown, soft_wrap=True, highlight=False, markup=False)


@data_app.command("check")
def data_audit(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A protocol, or a data set in a line: folder, aptos2019, medmnist:dermamnist@64.",
        ),
    ],
    root: Root = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder for what is found [default: audits/NAME].")
    ] = None,
    cache: Cache = None,
    overwrite: Overwrite = False,
) -> None:
    """Audit a data set before any training; exit with 1 if something in it cannot be used."""
    with sentences():
        from vitrial.data.audit.audit import audit_dataset
        from vitrial.data.audit.checks import report_problems
        from vitrial.data.sources import load_dataset
        from vitrial.layout import AUDIT_FACTS
        from vitrial.outputs import refuse_foreign
        from vitrial.protocol.one_line import named_data
        from vitrial.report.audit import folder_of, print_summary, write_page

        section, image, split = named_data(data, root)
        dataset = load_dataset(section)
        folder = out or folder_of(dataset.name)
        if not overwrite:
            refuse_foreign(folder, (AUDIT_FACTS,), "audit")
        audit = audit_dataset(dataset, image, cache, split)
        audit.write(folder)
        page = write_page(audit, folder)
        report_problems(audit.problems, out_console, folder / "problems.csv")
        print_summary(audit, out_console)
        out_console.print(f"Page: {page.resolve()}", soft_wrap=True, highlight=False)
        if audit.fatal:
            raise typer.Exit(1)


@data_app.command("names")
def data_names(
    root: Annotated[Path, typer.Argument(help="The root of a data set with DICOM files.")],
    out: Annotated[Path, typer.Option(help="A CSV; keep it where patients' names may be.")],
) -> None:
    """Say which file each DICOM image is that a study shows under another name."""
    with sentences():
        from vitrial.data.io.hidden_names import write_names

        count = write_names(root, out)
        out_console.print(f"{count} names are in {out}.", soft_wrap=True, highlight=False)


@app.command()
def status(study: StudyFolder) -> None:
    """Show which runs are done, running, failed and left."""
    with sentences():
        from vitrial.study.progress import stale_runs_sentence, status_table

        loaded = _open(study)
        out_console.print(status_table(loaded.status()))
        if stale_runs := loaded.stale_runs():
            out_console.print(stale_runs_sentence(stale_runs), highlight=False)


@app.command()
def table(
    study: StudyFolder,
    form: Annotated[
        str, typer.Option("--format", help="terminal, csv, markdown or latex.")
    ] = "terminal",
) -> None:
    """Print the table of a study, computed anew from its predictions."""
    with sentences():
        from vitrial.compare.table import render

        loaded = _open(study)
        shown = render(loaded.table(), loaded.protocol.endpoint, loaded.caption(), form)
        print(shown, end="") if isinstance(shown, str) else out_console.print(shown)


@app.command()
def explain(
    study: StudyFolder,
    images: Annotated[
        str,
        typer.Option(help="How many test images, `all`, or a file or folder of your own images."),
    ] = "100",
    method: Annotated[
        list[str] | None,
        typer.Option(help="A method; repeat the option [default: all that fit a model]."),
    ] = None,
    repetition: Annotated[
        int | None, typer.Option(help="One run of each arm [default: all].", min=1)
    ] = None,
    faithful: Annotated[
        bool, typer.Option(help="Measure deletion and insertion too, which takes longest.")
    ] = True,
    root: Root = None,
    cache: Cache = None,
) -> None:
    """Show what each arm looks at, and measure which explanation is right."""
    with sentences():
        from vitrial.explain.explained import read_explained
        from vitrial.explain.images import wanted_images
        from vitrial.explain.run import explain_study
        from vitrial.layout import EXPLANATIONS
        from vitrial.report.explained import print_explanations
        from vitrial.report.figures.figure_one import write_figure_one
        from vitrial.report.page import write_report

        loaded = _open(study)
        folder = explain_study(
            loaded,
            wanted_images(images),
            methods=method,
            repetition=repetition,
            faithful=faithful,
            root=root,
            cache=cache,
        )
        found = read_explained(folder)
        assert found is not None  # it was written just now
        print_explanations(found, out_console)
        pictures = write_figure_one(found.shown, folder)
        shown = ", ".join(map(str, pictures))
        out_console.print(f"Figure 1: {shown}", soft_wrap=True, highlight=False)
        if folder.name == EXPLANATIONS:
            page = write_report(loaded).resolve()
            out_console.print(f"Report: {page}", soft_wrap=True, highlight=False)


@app.command()
def report(study: StudyFolder) -> None:
    """Write the report of a study, finished or not."""
    with sentences():
        _print_result(_open(study))


@protocol_app.command("list")
def protocol_list() -> None:
    """List the ready protocols."""
    with sentences():
        from vitrial.protocol.file import ready_protocols

        ready = ready_protocols()
        width = max(map(len, ready)) + 2
        for name, purpose in ready.items():
            out_console.print(f"[bold]{name:{width}}[/]{purpose}", highlight=False)


@protocol_app.command("show")
def protocol_show(name: Annotated[str, typer.Argument(help="A ready protocol's name.")]) -> None:
    """Print a ready protocol, to be saved and changed."""
    with sentences():
        from vitrial.protocol.file import show

        print(show(name), end="")


@protocol_app.command("check")
def protocol_check(protocol: ProtocolName) -> None:
    """Check a protocol file and report everything that is wrong with it."""
    with sentences():
        loaded = _load(protocol, None)
        runs = len(loaded.arms) * loaded.repetitions
        out_console.print(
            f"{protocol} is sound: {len(loaded.arms)} arms x {loaded.repetitions} repetitions = "
            f"{runs} runs, endpoint {loaded.endpoint}, hash {loaded.hash()}.",
            soft_wrap=True,
            highlight=False,
        )


@contextmanager
def sentences(problems: Path | None = None) -> Iterator[None]:
    """Turn what goes wrong for the user into sentences on standard error, and an exit code.

    That is 1, or what a shell gives a program that was ended by a signal.

    Args:
        problems: A CSV for the whole list of what is wrong with a data set.
    """
    from vitrial.errors import DataError, VitrialError

    try:
        with stoppable():
            try:
                yield
            finally:
                sys.stdout.flush()  # at exit a closed pipe could no longer be answered
    except DataError as error:
        from vitrial.data.audit.checks import report_problems

        report_problems(error.problems, err_console, problems)
        _print_error(str(error))
        sys.exit(1)
    except VitrialError as error:
        _print_error(str(error))
        sys.exit(1)
    except BrokenPipeError:
        discard_output()
        sys.exit(BROKEN_PIPE)
    except OSError as error:
        _print_error(f"{error.filename or 'a file'}: {error.strerror or error}.")
        sys.exit(1)
    except KeyboardInterrupt:
        err_console.print("Interrupted; the same command goes on from here.")
        sys.exit(130)
    except Stopped as stopped:
        with suppress(OSError):  # the terminal may be gone
            err_console.print(f"Stopped by {stopped}; the same command goes on from here.")
        sys.exit(stopped.code)


def _print_error(sentence: str) -> None:
    err_console.print("[red]Error:[/] ", end="")
    err_console.print(sentence, soft_wrap=True, highlight=False, markup=False)


def _load(protocol: str, root: Path | None) -> Protocol:
    from vitrial.protocol.file import load_protocol

    return load_protocol(protocol, root)


def _open(folder: Path) -> Study:
    """A study; what its reader should know is printed."""
    from vitrial.store.study import load_study

    study = load_study(folder)
    for note in study.notes:
        err_console.print(note, soft_wrap=True, highlight=False, markup=False)
    return study


def _print_result(study: Study) -> None:
    from vitrial.compare.table import render
    from vitrial.report.page import write_report

    path = write_report(study)
    out_console.print(render(study.table(), study.protocol.endpoint, study.caption(), "terminal"))
    out_console.print(f"Report: {path.resolve()}", soft_wrap=True, highlight=False)
