"""A step that exceeds the memory of the device: a sentence with the batch that fits."""

import re

import pytest
import torch

from tiny_study import PROTOCOL
from vitrial.protocol.file import load_protocol
from vitrial.study import out_of_memory
from vitrial.study.execute import run

ROOM = 6
"""Images that fit."""


@pytest.fixture
def small_device(monkeypatch):
    """A device on which a step of more images than `ROOM` finds no memory."""
    forward = torch.nn.Conv2d.forward

    def limited(self, images):
        if self.training and len(images) > ROOM:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(self, images)

    monkeypatch.setattr(torch.nn.Conv2d, "forward", limited)


def study_of(tmp_path, pixel_caches, protocol):
    (tmp_path / "tiny.yaml").write_text(protocol)
    return run(load_protocol(tmp_path / "tiny.yaml"), tmp_path / "study", cache=pixel_caches)


@pytest.mark.slow
def test_the_batch_that_fits_is_named_and_computed_in_parts_it_fits(
    small_device, tmp_path, pixel_caches
):
    protocol = PROTOCOL.replace("[random, random+dino]", "[random]")
    study = study_of(tmp_path, pixel_caches, protocol)
    (said,) = (path.read_text() for path in study.path.glob("runs/*/failure.json"))
    assert "test_resnet exceeds the memory of the device at 16 images at once" in said
    assert "and 4 fit (found by halving): set batch_size: 4" in said
    assert "--devices 4, or compute it in parts with accumulate: 4" in said
    in_parts = protocol.replace("recipe: {", "recipe: {accumulate: 4, ")
    study = study_of(tmp_path, pixel_caches, in_parts)
    assert (study.status()["status"] == "done").all()


@pytest.mark.slow
def test_self_supervision_has_no_parts(small_device, tmp_path, pixel_caches):
    study = study_of(tmp_path, pixel_caches, PROTOCOL)
    (failure,) = study.path.glob("pretrained/*/failure.json")
    assert re.search(r"and 2 fit .*--devices 8\.", failure.read_text())
    assert "accumulate" not in failure.read_text()


def test_other_errors_are_not_taken_for_it():
    assert out_of_memory.is_out_of_memory(torch.OutOfMemoryError("x"))
    assert not out_of_memory.is_out_of_memory(RuntimeError("shapes differ"))
