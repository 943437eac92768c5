"""What goes wrong becomes a sentence on standard error, and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vitrial.terminal import BROKEN_PIPE, PipedConsole, Stopped, discard_output, stoppable

out_console, err_console = PipedConsole(), PipedConsole(stderr=True)


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
