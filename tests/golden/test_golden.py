"""Results do not change without a new version: see `vitrial.study.versions`."""

from __future__ import annotations

import json

import pytest
import torch
from golden_values import RECORD, VERSION, golden_values

# Rounding of float32 differs between processors in the seventh digit, and grows in the few steps of
# these trainings: between one with AMX and one without, to 3e-4 in logits of which the largest is
# 0.9. A changed recipe shows in the second or third digit.
RELATIVE, ABSOLUTE = 2e-3, 1e-3


def differences(found, recorded):
    """The names of what differs between the values of a kind of stage and those recorded."""
    names = [
        name
        for name in {**found["drawn"], **recorded["drawn"]}
        if found["drawn"].get(name) != recorded["drawn"].get(name)
    ]
    for name in {**found["computed"], **recorded["computed"]}:
        ours, theirs = (values["computed"].get(name, []) for values in (found, recorded))
        if ours != pytest.approx(theirs, rel=RELATIVE, abs=ABSOLUTE):
            names.append(name)
    return names


def verdict(kind, found, recorded):
    """What to do about a kind of stage; nothing if all is as it was recorded."""
    if found["version"] != recorded["version"]:
        return f"{kind} has another version than was recorded: run `python tests/golden/record.py`"
    if what := differences(found, recorded):
        where = "DATA" if kind == "data" else f'VERSIONS["{kind}"]'
        return (
            f"{', '.join(what)} of {kind} differ from those of version {recorded['version']}: if "
            f"that is meant, raise {where} and run `python tests/golden/record.py`"
        )
    return ""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield golden_values(tmp_path_factory.mktemp("golden"))
    torch.set_num_threads(threads)


@pytest.mark.parametrize("kind", VERSION)
def test_results_change_with_the_version_alone(kind, found):
    recorded = json.loads(RECORD.read_text())
    if said := verdict(kind, found[kind], recorded[kind]):
        pytest.fail(said)


def test_the_verdict_says_what_to_do():
    values = {"version": 1, "drawn": {"order": "x"}, "computed": {"loss": [1.0]}}
    assert verdict("tune", values, values) == ""
    rounded = {**values, "computed": {"loss": [1.00001]}}
    assert verdict("tune", rounded, values) == ""
    for other in ({"drawn": {"order": "y"}}, {"computed": {"loss": [1.01]}}, {"computed": {}}):
        assert 'raise VERSIONS["tune"]' in verdict("tune", values | other, values)
    assert "record.py" in verdict("tune", values | {"version": 2}, values)
