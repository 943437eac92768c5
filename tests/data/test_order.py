"""An endpoint that grades needs classes in order, and says how to state it."""

import numpy as np
import pytest
import yaml
from PIL import Image as Pillow

from vitrial.data.sources.medmnist import MedMnistData
from vitrial.errors import VitrialError
from vitrial.metrics.answers import quadratic_kappa
from vitrial.protocol import Protocol
from vitrial.study.datasets import prepare_datasets

GRADES = ["none", "mild", "moderate", "severe"]


def protocol_of(root, endpoint="quadratic_kappa", **data):
    return Protocol(
        name="grades",
        data={"source": "folder", "root": root, **data},
        image={"resize": 32},
        augment={"crop": 32},
        arms=[{"backbone": "resnet10t"}],
        endpoint=endpoint,
    )


def folders(root, names):
    rng = np.random.default_rng(0)
    for name in names:
        (root / name).mkdir()
        for i in range(4):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Pillow.fromarray(pixels).save(root / name / f"{i}.png")
    return root


def test_words_in_the_order_of_the_alphabet_grade_wrongly():
    """Why: the same answers, one grade off now and then, by the right order and by the alphabet."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 400)
    answers = np.clip(truth + rng.choice([-1, 0, 1], 400, p=[0.1, 0.8, 0.1]), 0, 3)
    alphabet = np.argsort(np.argsort(GRADES))

    def kappa(order):
        return quadratic_kappa(order[truth], np.eye(4)[order[answers]])

    assert kappa(np.arange(4)) > 0.9
    assert kappa(alphabet) < kappa(np.arange(4)) - 0.05


def test_words_are_refused_with_the_line_to_write_before_any_image_is_decoded(
    tmp_path, monkeypatch
):
    root = folders(tmp_path, GRADES)
    monkeypatch.setattr("vitrial.data.audit.checks.prepare", None)
    with pytest.raises(VitrialError, match="words: state their order") as error:
        prepare_datasets(protocol_of(root))
    line = next(line for line in str(error.value).splitlines() if "classes:" in line)
    assert sorted(yaml.safe_load(line)["classes"]) == sorted(GRADES)


def test_a_line_with_odd_names_reads_back(tmp_path):
    odd = ["no", "1: mild", "é, [x]"]
    with pytest.raises(VitrialError) as error:
        prepare_datasets(protocol_of(folders(tmp_path, odd)))
    line = next(line for line in str(error.value).splitlines() if "classes:" in line)
    assert sorted(yaml.safe_load(line)["classes"]) == sorted(odd)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (GRADES, {"classes": GRADES}),
        (["0", "1", "2", "10"], {}),
        (["grade 1", "grade 2", "grade 3"], {}),
        (["ill", "well"], {}),
    ],
)
def test_stated_orders_numbers_and_two_classes_pass(tmp_path, pixel_caches, names, said):
    protocol = protocol_of(folders(tmp_path, names), **said)
    assert prepare_datasets(protocol, pixel_caches)["data"].classes == names


@pytest.mark.parametrize("names", [["0.25", "0.5", "1.0"], ["stage 1", "grade 2", "grade 3"]])
def test_what_does_not_sort_by_value_is_asked_about(tmp_path, names):
    with pytest.raises(VitrialError, match="state their order"):
        prepare_datasets(protocol_of(folders(tmp_path, names)))


def test_no_other_endpoint_asks(tmp_path, pixel_caches):
    protocol = protocol_of(folders(tmp_path, GRADES), endpoint="balanced_accuracy")
    assert prepare_datasets(protocol, pixel_caches)["data"].classes == sorted(GRADES)


def medmnist(name):
    return Protocol(
        name="grades",
        data=MedMnistData(source="medmnist", name=name),
        augment={"crop": 224},
        arms=[{"backbone": "resnet10t"}],
        endpoint="quadratic_kappa",
    )


@pytest.mark.parametrize("name", ["bloodmnist", "dermamnist", "organamnist", "pathmnist"])
def test_sets_that_are_known_to_be_unordered_are_refused_unread(name):
    with pytest.raises(ValueError, match=f"those of {name} have none"):
        medmnist(name)


@pytest.mark.parametrize("name", ["retinamnist", "pneumoniamnist", "breastmnist", "chestmnist"])
def test_ordered_sets_and_those_of_two_classes_are_not(name):
    assert medmnist(name).endpoint == "quadratic_kappa"
