import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from simulated_studies import CNN, VIT, protocol, write_study
from vitrial.cli import app
from vitrial.compare.planning import Design
from vitrial.compare.simulation import TestSet as Images
from vitrial.errors import VitrialError
from vitrial.protocol.file import write_protocol
from vitrial.study.power import expected_noise, outlooks, plan_trial, planned_test_split

APTOS = np.array([1805, 370, 999, 193, 295])
"""Images of each grade in APTOS 2019."""
QUALITIES = {
    f"{backbone} / {start}": [2.0, 2.05, 1.95]
    for start in ("random", "timm", "timm+dino")
    for backbone in (CNN, VIT)
}


def images_of(counts):
    targets = np.repeat(np.arange(len(counts)), counts)
    return Images(targets, np.arange(len(targets)), len(counts))


APTOS_TEST = images_of(np.round(APTOS * 549 / APTOS.sum()).astype(int))


def test_549_images_cannot_prove_equivalence_within_a_hundredth():
    """However small the deviation over repetitions, and however many of them there are."""
    for deviation in (0.0, 0.005, 0.01, 0.02):
        noise = expected_noise(
            "quadratic_kappa", APTOS_TEST, (0.893, 0.896), (deviation, deviation)
        )
        design = Design("equivalent", 0.01, 0.05, noise, 5)
        assert design.power() < 0.2
        assert design.repetitions_needed() is None


def test_more_patients_shrink_the_noise_and_a_deviation_widens_it():
    few, many = (expected_noise("balanced_accuracy", images_of([n] * 4)) for n in (50, 200))
    assert few.patients / many.patients == pytest.approx(2, rel=0.25)
    assert few.own[0] / many.own[0] == pytest.approx(2, rel=0.15)
    wide = expected_noise("balanced_accuracy", images_of([200] * 4), deviations=(0.05, 0.05))
    assert wide.of_runs()[0] == pytest.approx(0.05**2)
    assert wide.patients == many.patients


@pytest.mark.parametrize("endpoint", ["roc_auc", "accuracy", "f1", "log_loss", "brier"])
def test_every_endpoint_can_be_planned(endpoint):
    noise = expected_noise(endpoint, images_of([40, 60, 80]))
    assert 0 < noise.patients < 0.2
    assert 0 < noise.own[0] < 0.2


def test_an_impossible_score_is_a_sentence():
    with pytest.raises(VitrialError, match=r"No model has a ROC-AUC of 0\.1"):
        expected_noise("roc_auc", images_of([40, 60]), (0.1, 0.1))


def test_alpha_is_divided_among_the_claims_of_a_family():
    found = outlooks(protocol(), images_of([40, 60, 80]))
    assert [(o.registered.family, o.claims) for o in found] == [("paper", 3)] * 3 + [
        ("on par", 2)
    ] * 2
    assert [o.design.alpha for o in found] == pytest.approx([0.05 / 3] * 3 + [0.05 / 2] * 2)
    assert not any(o.measured for o in found)


def test_an_earlier_study_lends_its_noise_by_its_number_of_patients(tmp_path):
    earlier = write_study(tmp_path / "s", protocol(), QUALITIES).verdict()
    groups = earlier[0].groups
    found = outlooks(protocol(), images_of([groups * 2, groups, groups]), earlier=earlier)
    assert all(o.measured for o in found)
    assert found[0].design.noise == earlier[0].noise.with_patients(4)
    other = protocol(endpoint="accuracy")
    assert not any(o.measured for o in outlooks(other, images_of([40, 60]), earlier=earlier))


def test_planning_opens_no_image(tmp_path):
    """Files that are no images are noticed when they are decoded, not here."""
    for label, count in (("benign", 60), ("malignant", 40)):
        (tmp_path / "data" / label).mkdir(parents=True)
        for i in range(count):
            (tmp_path / "data" / label / f"{label}-{i}.png").write_bytes(b"")
    here = protocol(data={"source": "folder", "root": str(tmp_path / "data")})
    test, classes = planned_test_split(here)
    assert classes == ["benign", "malignant"]
    assert len(test.targets) == 15


def test_the_command_says_what_can_be_proved_and_what_to_change(tmp_path):
    write_protocol(protocol(), tmp_path / "p.yaml")
    result = CliRunner().invoke(app, ["plan", str(tmp_path / "p.yaml"), "--deviation", "0.02"])
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    for words in (
        "Test split: ",
        "of the rarest, ",
        "a standard deviation of 0.02 over repetitions",
        f"{CNN} / random superior to {VIT} / random (paper, 3 claims)",
        "if the true difference is the margin",
        "The bottleneck is ",
        "can prove it",
    ):
        assert words in text
    assert max(map(len, result.output.splitlines())) <= 80


def test_the_command_takes_an_earlier_study(tmp_path):
    write_protocol(protocol(), tmp_path / "p.yaml")
    write_study(tmp_path / "s", protocol(), QUALITIES)
    arguments = ["plan", str(tmp_path / "p.yaml"), "--study", str(tmp_path / "s")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "that of the earlier study" in result.output


def test_nothing_registered_is_said():
    assert "registers no comparison" in plan_trial(protocol(comparisons=[]))


def test_the_real_aptos_is_planned_from_its_csv(shared, tmp_path):
    table = shared / "aptos2019" / "train.csv"
    if not table.is_file():
        pytest.skip(f"APTOS 2019 is not at {table}")
    frame = pd.read_csv(table)
    (tmp_path / "train_images").mkdir()
    for name in frame["id_code"]:
        (tmp_path / "train_images" / f"{name}.png").touch()
    frame.to_csv(tmp_path / "train.csv", index=False)
    result = CliRunner().invoke(app, ["plan", "matsoukas2021", "--root", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "Test split: 549 images of 549 patients" in " ".join(result.output.split())
