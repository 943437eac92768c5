import os
import subprocess
import sys
from pathlib import Path

import pytest

from vitrial.protocol.file import load_protocol

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_example_protocols_are_sound(path):
    assert load_protocol(path).name == path.stem.replace("_", "-")


@pytest.mark.slow
def test_the_python_example(small_protocol, tmp_path, pixel_caches):
    done = subprocess.run(
        [sys.executable, EXAMPLES / "trial.py", small_protocol, tmp_path / "study"],
        capture_output=True,
        text=True,
        env=os.environ | {"VITRIAL_CACHE": str(pixel_caches)},
    )
    assert done.returncode == 0, done.stderr
    assert "median" in done.stdout
    assert (tmp_path / "study" / "report" / "index.html").is_file()


@pytest.mark.slow
def test_the_example_of_a_data_set_made_in_python(tmp_path, pixel_caches):
    done = subprocess.run(
        [sys.executable, EXAMPLES / "dataset.py", tmp_path / "study"],
        capture_output=True,
        text=True,
        env=os.environ | {"VITRIAL_CACHE": str(pixel_caches)},
    )
    assert done.returncode == 0, done.stderr
    assert "test_vit" in done.stdout
