"""What goes wrong becomes a sentence on standard error, and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vitrial.terminal import BROKEN_PIPE, PipedConsole, Stopped, discard_output, stoppable

if TYPE_CHECKING:
    from rich.console import Console

    from vitrial.errors import Problem

out_console, err_console = PipedConsole(), PipedConsole(stderr=True)


@contextmanager
def sentences(problems: Path | None = None) -> Iterator[None]:
    """Turn what goes wrong for the user into sentences on standard error, and an exit code.

    That is 1, or what a shell gives a program that was ended by a signal.

    Args:
        problems: A CSV for the whole list of what is wrong with a data set.
    """
    from vitrial.errors import DataError, MissingError, VitrialError
    from vitrial.events import listening

    try:
        with stoppable():
            try:
                with listening():
                    yield
            finally:
                sys.stdout.flush()  # at exit a closed pipe could no longer be answered
    except DataError as error:
        report_problems(error.problems, err_console, problems)
        _print_error(str(error))
        sys.exit(1)
    except MissingError as error:
        hint = f"\n--skip-missing leaves out {', '.join(error.skippable)}"
        hint += "." if error.enough else ", once the rest is there."
        _print_error(f"{error}{hint if error.skippable else ''}")
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
        err_console.print("Interrupted; the same command resumes from here.")
        sys.exit(130)
    except Stopped as stopped:
        with suppress(OSError):  # the terminal may be gone
            err_console.print(f"Stopped by {stopped}; the same command resumes from here.")
        sys.exit(stopped.code)


def report_problems(problems: list[Problem], console: Console, path: Path | None = None) -> None:
    """Print problems with data as a table, and write all of them to a CSV if one is asked for."""
    from vitrial.data.audit.problems import write_problems
    from vitrial.problem_table import print_problems

    if path is not None:
        write_problems(problems, path)
    if not print_problems(problems, console) and path is None:
        console.print("The whole list: vitrial prepare PROTOCOL --problems FILE.csv")


def _print_error(sentence: str) -> None:
    err_console.print("[red]Error:[/] ", end="")
    err_console.print(sentence, soft_wrap=True, highlight=False, markup=False)
