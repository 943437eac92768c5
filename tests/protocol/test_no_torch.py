"""Validating a protocol takes no torch, which takes seconds to import."""

import subprocess
import sys

import pytest

from vitrial.protocol.file import ready_protocols

CODE = """
import sys
from vitrial.protocol.file import load_protocol, protocol_text
protocol_text(load_protocol(sys.argv[1], build=False))
found = [name for name in ("torch", "timm", "sklearn") if name in sys.modules]
sys.exit(f"imported: {found}" if found else 0)
"""


@pytest.mark.parametrize("name", ready_protocols())
def test_no_preset_needs_torch_to_be_validated(name):
    ended = subprocess.run(
        [sys.executable, "-c", CODE, name], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_no_source_needs_torch_to_be_configured():
    code = (
        "import sys; from vitrial.protocol.faults import sections; sections(); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
