import errno
import os
import signal
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from vitrial.atomic import (
    DiskFullError,
    is_full,
    partial_prefix,
    remove_leftovers,
    replacing,
    write_json,
)
from vitrial.train.checkpoint import save_weights


@pytest.mark.parametrize("umask", [0o077, 0o022, 0o002])
@pytest.mark.parametrize("writer", ["text", "safetensors"])
def test_permissions_are_those_of_the_umask(tmp_path, umask, writer):
    before = os.umask(umask)
    try:
        if writer == "text":
            write_json(tmp_path / "file", {})
        else:
            save_weights(tmp_path / "file", {"a": torch.zeros(2)})
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~umask


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    write_json(tmp_path / "file", {"old": 1})

    def write():
        with replacing(tmp_path / "file") as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert "old" in (tmp_path / "file").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


KILLED = """
import os, signal, sys
from pathlib import Path
from vitrial.atomic import replacing
with replacing(Path(sys.argv[1])) as temporary:
    (temporary.parent / ".tmp123").write_text("a library's own temporary file")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_only_what_dead_processes_left_is_removed(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "file")])
    assert done.returncode == -signal.SIGKILL
    (tmp_path / f"{partial_prefix()}mine").mkdir()
    (tmp_path / ".partial-deadbeef-1-other-machine").mkdir()
    assert len(list(tmp_path.iterdir())) == 3
    remove_leftovers(tmp_path, tmp_path / "nowhere")
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{partial_prefix()}mine",
        ".partial-deadbeef-1-other-machine",
    }
    os.utime(tmp_path / ".partial-deadbeef-1-other-machine", (0, 0))
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"{partial_prefix()}mine"]


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_a_sentence_that_names_file_and_need(tmp_path):
    def write(needs):
        with replacing(tmp_path / "study" / "file", needs) as temporary:
            temporary.write_bytes(b"0" * 5000)
            full()

    with pytest.raises(DiskFullError, match=r"study/file: it needs more than 5.0 kB, and .* free"):
        write(0)
    with pytest.raises(DiskFullError, match=r"needs [0-9]+\.0 TB"):
        write(10**18)
    assert list((tmp_path / "study").iterdir()) == []


def test_what_pytorch_and_safetensors_say_of_a_full_disk_is_understood(tmp_path):
    class Full:
        def write(self, _):
            full()

        def flush(self):
            pass

    with pytest.raises((OSError, RuntimeError)) as error:
        torch.save({"a": torch.zeros(100)}, Full())
    assert is_full(error.value)
    with pytest.raises(Exception, match="os error") as other:
        save_file({"a": torch.zeros(2)}, tmp_path / "nowhere" / "file")
    assert not is_full(other.value)
