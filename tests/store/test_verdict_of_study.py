import json

import pytest
from typer.testing import CliRunner

from simulated_studies import CNN, VIT, protocol, write_study
from vitrial.cli import app
from vitrial.layout import RESULT
from vitrial.records import DamagedError
from vitrial.store.history import record_protocol

STARTS = ("random", "timm", "timm+dino")


def qualities(vit=2.0):
    return {
        f"{backbone} / {start}": [middle, middle + 0.05, middle - 0.05]
        for start in STARTS
        for backbone, middle in ((CNN, 2.0), (VIT, 1.0 if start == "random" else vit))
    }


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("verdict") / "s", protocol(), qualities())


def test_a_study_judges_the_papers_claims(study):
    found = study.verdict()
    claims = [(f.registered.treatment, f.registered.claim, f.registered.family) for f in found]
    assert claims == [
        (f"{CNN} / random", "superior", "paper"),
        (f"{VIT} / timm", "equivalent", "paper"),
        (f"{VIT} / timm+dino", "superior", "paper"),
        (f"{VIT} / timm", "equivalent", "on par"),
        (f"{VIT} / timm+dino", "equivalent", "on par"),
    ]
    assert found[0].outcome == "upheld"
    assert {f.registered.margin for f in found} == {0.02}


def test_registered_comparisons_replace_the_default(tmp_path):
    one = {"treatment": f"{VIT} / timm", "control": f"{CNN} / random", "claim": "non-inferior"}
    stated = protocol(comparisons=[one | {"margin": 0.3, "endpoint": "accuracy"}])
    (found,) = write_study(tmp_path / "s", stated, qualities()).verdict()
    assert (found.registered.margin, found.registered.endpoint) == (0.3, "accuracy")
    assert found.outcome == "upheld"


def test_the_command_prints_every_form(study):
    for form in ("terminal", "csv", "markdown", "json"):
        result = CliRunner().invoke(app, ["verdict", str(study.path), "--format", form])
        assert result.exit_code == 0, result.output
        assert f"From scratch, {CNN} is superior to {VIT}" in " ".join(result.output.split())
    assert len(json.loads(result.stdout)["comparisons"]) == 5
    wrong = CliRunner().invoke(app, ["verdict", str(study.path), "--format", "xml"])
    assert wrong.exit_code == 1
    assert "'xml' is not a format" in " ".join(wrong.output.split())


def test_an_undecided_claim_says_what_it_would_take(study):
    text = " ".join(CliRunner().invoke(app, ["verdict", str(study.path)]).output.split())
    assert "To uphold it with 80% power if they are alike: " in text


def test_an_amended_protocol_is_said_with_the_verdict_and_the_table(tmp_path):
    study = write_study(tmp_path / "s", protocol(margin=0.05), qualities())
    record_protocol(study.path, None, protocol())
    record_protocol(study.path, None, protocol(margin=0.05))
    sentence = "Protocol amended after 18 runs: margin 0.02 -> 0.05"
    assert study.amendments() == [sentence]
    assert sentence in CliRunner().invoke(app, ["verdict", str(study.path)]).output
    assert study.amendments()[0] in json.dumps(
        json.loads(CliRunner().invoke(app, ["verdict", str(study.path), "--format", "json"]).stdout)
    )


def test_a_damaged_run_is_a_sentence(tmp_path):
    study = write_study(tmp_path / "s", protocol(), qualities())
    (study.path / f"runs/{CNN}-random-1/predictions.parquet").write_bytes(b"no table")
    result = CliRunner().invoke(app, ["verdict", str(study.path)])
    assert result.exit_code == 1
    assert "damaged" in result.output
    with pytest.raises(DamagedError):
        study.verdict()


def test_a_study_without_runs_has_a_verdict_that_says_so(tmp_path):
    study = write_study(tmp_path / "s", protocol(), {})
    assert not list(study.path.glob(f"runs/*/{RESULT}"))
    result = CliRunner().invoke(app, ["verdict", str(study.path)])
    assert result.exit_code == 0
    assert "cannot be compared yet" in " ".join(result.output.split())
