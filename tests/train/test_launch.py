"""Precision follows what the device has instructions for, and is recorded."""

from pathlib import Path

import pytest
import torch

from vitrial.study.run import machine
from vitrial.train import launch as device
from vitrial.train.launch import computes_bf16, launch


def dtype_of(fabric):
    """What a matrix product under the precision's autocast comes out as."""
    ones = torch.ones(2, 2, device=fabric.device)
    with fabric.autocast():
        return (ones @ ones).dtype


@pytest.mark.parametrize(("has", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_bf16_only_where_there_are_instructions_for_it(monkeypatch, has, expected):
    monkeypatch.setattr(device, "computes_bf16", lambda: has)
    assert dtype_of(launch("bf16")) == expected
    assert dtype_of(launch("fp32")) == torch.float32
    recorded = {p: machine(launch(p)).precision for p in ("bf16", "fp32")}
    assert recorded == {"bf16": "bf16-mixed" if has else "32-true", "fp32": "32-true"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks the CPU")
def test_a_cpu_computes_bf16_if_it_has_avx512_as_linux_lists_it():
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines()
        flags = next(line for line in lines if line.startswith("flags")).split()
    except (OSError, StopIteration):
        pytest.skip("no x86 processor of Linux")
    # oneDNN's documentation: bf16 needs avx512bw, avx512vl and avx512dq at least.
    assert computes_bf16() == ({"avx512bw", "avx512vl", "avx512dq"} <= set(flags))
