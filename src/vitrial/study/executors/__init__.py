"""Where and when a study's stages are carried out: one file per executor, found by its name.

A file defines `REQUIRES` (the extra that it needs and the module that tells whether it is there,
or None), `Options` (what `vitrial run -x KEY=VALUE` may say) and `execute(work, stages, datasets,
options)`, which hands every stage to `vitrial.study.carry_out` after those that it starts from.
Whichever carries a stage out, the study's folder is all that they share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec

from pydantic import BaseModel, ConfigDict, ValidationError

from vitrial.errors import VitrialError
from vitrial.registry import Registry
from vitrial.spelling import did_you_mean
from vitrial.store.stage import Stage
from vitrial.study.carry_out import Work
from vitrial.study.datasets import Datasets

EXECUTORS = Registry("vitrial.study.executors", ("REQUIRES", "Options", "execute"))
INLINE = "inline"
Execute = Callable[[Work, list[Stage], Datasets | None], None]


class ExecutorOptions(BaseModel):
    """What an executor can be told; texts of the command line are converted."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def executor_of(name: str = INLINE, given: Mapping[str, object] | None = None) -> Execute:
    """An executor that is ready for use.

    Args:
        name: Of its file.
        given: Its options by name.

    Raises:
        VitrialError: There is none of this name, what it needs is not installed, or an option is
            unknown or impossible.
    """
    entry = EXECUTORS.entry(name)
    if entry.REQUIRES is not None:
        extra, module = entry.REQUIRES
        if find_spec(module) is None:
            raise VitrialError(f"The executor {name} needs: pip install 'vitrial[{extra}]'")
    try:
        options = entry.Options(**(given or {}))
    except ValidationError as error:
        known = list(entry.Options.model_fields)
        raise VitrialError(" ".join(_sentences(name, known, error))) from error
    return partial(entry.execute, options=options)


def _sentences(name: str, known: list[str], error: ValidationError) -> list[str]:
    """One for each option that is wrong."""
    faults: dict[str, list[str]] = {}
    for fault in error.errors():
        what = fault["msg"].partition(",")[0].removeprefix("Input should be ")
        faults.setdefault(str(fault["loc"][0]), []).append(what)
    choices = f"there are {', '.join(known)}" if known else "there are none"
    return [
        f"The option {key} of the executor {name} must be {' or '.join(whats)}."
        if key in known
        else f"The executor {name} has no option {key}{did_you_mean(key, known)}: {choices}."
        for key, whats in faults.items()
    ]
