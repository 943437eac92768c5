"""Checkpoints; `test_fit` and `test_resume` go on from them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vitrial.layout import CHECKPOINT
from vitrial.terminal import Stopped
from vitrial.train.checkpoint import load_checkpoint, save_checkpoint


@pytest.mark.parametrize("what", [KeyboardInterrupt(), Stopped(15)])
def test_what_ends_the_writing_is_not_taken_for_a_failure(what, tmp_path, monkeypatch):
    """PyTorch closes its archive on the way, and raises an error of its own."""
    model = torch.nn.Linear(8, 8)
    optimizer = torch.optim.Adam(model.parameters())
    save_checkpoint(tmp_path, model, optimizer, [{"epoch": 1}], 0)
    before = (tmp_path / CHECKPOINT).read_bytes()
    really = Path.open

    class Ending:
        """A file whose third write does not come to its end."""

        def __init__(self, file):
            self.file, self.writes = file, 0

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def __getattr__(self, name):
            return getattr(self.file, name)

        def write(self, content):
            self.writes += 1
            if self.writes == 3:
                raise what
            return self.file.write(content)

    def opened(path, mode="r", *arguments, **options):
        file = really(path, mode, *arguments, **options)
        return Ending(file) if mode == "wb" else file

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(type(what)):
        save_checkpoint(tmp_path, model, optimizer, [{"epoch": 1}, {"epoch": 2}], 0)
    monkeypatch.undo()
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    assert load_checkpoint(tmp_path, model, optimizer)[0] == [{"epoch": 1}]
