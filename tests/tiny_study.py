"""A study of two small arms, as the tests of damage, of full disks and of commands make it."""

from typer.testing import CliRunner

import vitrial
from vitrial.cli import app

PROTOCOL = """
name: tiny
data: {source: phantom, patients: 24, size: 40}
image: {resize: 40}
augment: {crop: 32}
arms:
  - {backbone: test_resnet, initialization: [random, random+dino]}
recipe: {batch_size: 16, warmup_steps: 1, epochs: 3, precision: fp32}
dino:
  {epochs: 1, warmup_epochs: 0, batch_size: 16, hidden_dim: 16, output_dim: 16, precision: fp32,
   local_views: {size: 32, count: 1}}
endpoint: balanced_accuracy
repetitions: 1
"""


def invoke(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def sentence(result):
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    return " ".join(result.output.split())


def predictions_of(study):
    return {s.name: folder.predictions() for s, folder in vitrial.load_study(study).runs()}
