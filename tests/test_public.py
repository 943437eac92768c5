"""The documented Python interface."""

from importlib import import_module

import vitrial


def test_public_names_are_there_and_no_module_takes_their_place():
    first = {name: getattr(vitrial, name) for name in vitrial.__all__}
    for package in ("compare", "data", "explain", "report", "store", "study", "train"):
        import_module(f"vitrial.{package}")
    assert {name: getattr(vitrial, name) for name in vitrial.__all__} == first
    assert all(callable(found) for found in first.values())
