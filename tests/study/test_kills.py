"""A study that is killed at random moments ends with the bits of one that was not."""

import subprocess
import sys
from pathlib import Path

import pytest

KILLS = Path(__file__).parents[2] / "benchmarks" / "kills.py"


@pytest.mark.slow
def test_twenty_sigkills_at_random_moments_change_no_bit():
    """In a process of its own, which forks: this one has threads, and may have trained."""
    done = subprocess.run([sys.executable, KILLS, "--kills", "20"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
