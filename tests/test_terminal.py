"""What the shell sees of the program: exit codes, closed pipes, narrow encodings, signals."""

import os
import signal
import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from vitrial.cli import app
from vitrial.cli.sentences import sentences
from vitrial.terminal import PipedConsole, Stopped, stoppable

PYTHON = (sys.executable, "-m", "vitrial")


@pytest.mark.parametrize("command", [(), ("run",), ("data", "audit"), ("protocol", "list")])
def test_help_in_two_letters(command):
    result = CliRunner().invoke(app, [*command, "-h"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_version():
    assert CliRunner().invoke(app, ["--version"]).output == f"vitrial {version('vitrial')}\n"


def test_what_an_encoding_lacks_is_escaped():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [*PYTHON, "protocol", "show", "quick"], env=environment, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert rb"M. S\xf6derberg" in done.stdout


def test_a_closed_pipe_ends_in_silence():
    with subprocess.Popen(
        [*PYTHON, "protocol", "show", "quick"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 128 + signal.SIGPIPE


def test_a_console_leaves_a_closed_pipe_to_its_caller():
    read, write = os.pipe()
    os.close(read)
    # Unbuffered, so that nothing is left to be written when the file is closed.
    with os.fdopen(write, "wb", buffering=0) as raw:

        class Text:
            encoding = "utf-8"

            def write(self, text):
                return raw.write(text.encode())

            def flush(self):
                pass

        with pytest.raises(BrokenPipeError):
            PipedConsole(file=Text()).print("lost")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_stop_is_a_sentence_and_its_code(number, capsys):
    closed = []

    def work():
        try:
            os.kill(os.getpid(), number)
        except Exception:  # as a study goes on after a run that failed
            return
        finally:
            closed.append(True)

    with pytest.raises(SystemExit) as ended, sentences():
        work()
    assert ended.value.code == 128 + number
    assert closed
    said = capsys.readouterr().err
    assert said == f"Stopped by {number.name}; the same command resumes from here.\n"
    assert signal.getsignal(number) == signal.SIG_DFL


def test_an_ignored_signal_stays_ignored():
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, former)


def test_a_second_signal_ends_at_once():
    handlers = []

    def work():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            handlers.append(signal.getsignal(signal.SIGTERM))

    with pytest.raises(Stopped), stoppable():
        work()
    assert handlers == [signal.SIG_DFL]


# Stops itself as soon as the first checkpoint is written.
STOPPED = """
import os, signal, sys
import vitrial.train.fit
from vitrial.cli import app

original = vitrial.train.fit.save_checkpoint

def stopping(*args):
    original(*args)
    os.kill(os.getpid(), signal.SIGTERM)

vitrial.train.fit.save_checkpoint = stopping
app(sys.argv[1:])
"""


@pytest.mark.slow
def test_a_stopped_run_keeps_its_checkpoint_and_is_no_failure(
    small_protocol, tmp_path, pixel_caches
):
    arguments = ["run", small_protocol, "--out", tmp_path / "study", "--cache", pixel_caches]
    stopped = subprocess.run(
        [sys.executable, "-c", STOPPED, *map(str, arguments)], capture_output=True, text=True
    )
    assert stopped.returncode == 128 + signal.SIGTERM, stopped.stderr
    assert stopped.stderr.endswith("Stopped by SIGTERM; the same command resumes from here.\n")
    assert "Traceback" not in stopped.stderr
    assert len(list((tmp_path / "study").glob("runs/*/checkpoint.pt"))) == 1
    assert not list((tmp_path / "study").glob("runs/*/failure.json"))
