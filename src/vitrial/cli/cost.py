"""The command that measures what backbones take of this device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitrial.cli.opening import open_study
from vitrial.cli.sentences import out_console, sentences

if TYPE_CHECKING:
    import pandas as pd


def cost(
    protocol: Annotated[
        str,
        typer.Argument(help="A protocol file, the name of a built-in one, or a study's folder."),
    ],
    threads: Annotated[
        int | None, typer.Option(help="CPU threads to use.", min=1, show_default="PyTorch's choice")
    ] = None,
) -> None:
    """Measure each backbone's memory, speed and latency on this device; a study keeps them."""
    with sentences():
        from vitrial.errors import VitrialError
        from vitrial.metrics import METRICS
        from vitrial.protocol.checks import backbone_clashes
        from vitrial.protocol.file import load_protocol, ready_protocols
        from vitrial.report.cost import cost_words, device_sentence, front_words
        from vitrial.store.costs import arm_costs, write_costs
        from vitrial.store.registration import holds_study
        from vitrial.study.cost import measure_costs

        is_study = protocol not in ready_protocols() and holds_study(Path(protocol))
        study = open_study(Path(protocol)) if is_study else None
        chosen = study.protocol if study else load_protocol(protocol)
        if unfit := [clash.sentence for clash in backbone_clashes(chosen)]:
            raise VitrialError(". ".join(unfit) + ".")
        costs = measure_costs(chosen, threads)
        _print(cost_words(costs))
        out_console.print(device_sentence(costs), highlight=False)
        if study:
            write_costs(study, costs)
            label = METRICS[chosen.endpoint].label
            _print(front_words(arm_costs(study.protocol, study.scores(), costs), label))


def _print(words: pd.DataFrame) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for place, name in enumerate(words.columns):
        if place:  # as wide as its figures: a longer heading is folded
            width = max([*map(len, words[name]), *map(len, name.split())])
            table.add_column(name, justify="right", width=width)
        else:
            table.add_column(name, overflow="fold")
    for row in words.itertuples(index=False):
        table.add_row(*row)
    out_console.print(table)
