import subprocess
import sys

import pytest
from typer.testing import CliRunner

from vitrial.cli import app

runner = CliRunner()


def invoke(*arguments):
    return runner.invoke(app, list(map(str, arguments)))


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom vitrial.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'pandas', 'sklearn', 'matplotlib', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for command in ("run", "demo", "tune", "table", "report", "protocol", "pretrain", "weights"):
        assert command in done.stdout


def test_ready_protocols_are_listed_and_shown():
    listed = invoke("protocol", "list")
    assert {"demo", "quick", "matsoukas2021"} <= set(listed.output.split())
    assert "endpoint: quadratic_kappa" in invoke("protocol", "show", "matsoukas2021").output


def test_a_faulty_protocol_is_answered_in_sentences(tmp_path):
    path = tmp_path / "faulty.yaml"
    path.write_text(
        "name: x\ndata: {source: phantom}\nendpont: roc_auc\narms: [{backbone: resnet51}]\n"
    )
    result = invoke("protocol", "check", path)
    assert result.exit_code == 1
    assert "line 3" in result.output
    assert "line 4" in result.output
    assert "Traceback" not in result.output


def test_no_study_is_a_sentence(tmp_path):
    for command in ("status", "table", "report"):
        result = invoke(command, tmp_path)
        assert result.exit_code == 1
        assert "holds no study" in result.output


@pytest.mark.slow
def test_a_study_from_the_command_line(small_protocol, tmp_path, pixel_caches):
    out = tmp_path / "study"
    prepared = invoke("prepare", small_protocol, "--cache", pixel_caches)
    assert prepared.exit_code == 0, prepared.output
    assert "groups in 4 classes" in prepared.output

    ran = invoke("run", small_protocol, "--out", out, "--cache", pixel_caches)
    assert ran.exit_code == 0, ran.output
    assert "transfer:fundus" in ran.output
    assert (out / "report" / "index.html").is_file()
    assert (out / "report" / "table.tex").is_file()

    status = invoke("status", out)
    assert "5 done, 0 running, 0 failed, 0 left" in status.output
    assert invoke("table", out, "--format", "csv").output.startswith("initialization,backbone,")
    assert invoke("table", out, "--format", "word").exit_code == 1


@pytest.mark.slow
def test_an_arm_that_fails_leaves_the_others_and_says_why(
    tmp_path, small_protocol, pixel_caches, monkeypatch
):
    text = small_protocol.read_text().replace(
        "  - backbone: test_resnet\n",
        "  - {backbone: resnet18, initialization: file:nowhere.safetensors}\n"
        "  - backbone: test_resnet\n",
    )
    small_protocol.write_text(text)
    arguments = ("run", small_protocol, "--out", tmp_path / "s", "--cache", pixel_caches)
    # The file is lost after it was looked for.
    monkeypatch.setattr("vitrial.study.execute.preflight", lambda *_, **__: {})
    monkeypatch.setattr("vitrial.study.execute.check_stages", lambda *_: [])
    result = invoke(*arguments)
    assert result.exit_code == 1
    assert "nowhere.safetensors" in result.output
    assert "Traceback" not in result.output
    status = invoke("status", tmp_path / "s").output
    assert "5 done, 0 running, 1 failed, 0 left" in status


@pytest.mark.slow
def test_tuning_goes_on_without_an_arm_whose_weights_are_missing(
    tmp_path, pixel_caches, small_protocol
):
    text = small_protocol.read_text()
    start = text.index("arms:")
    arms = (
        "arms:\n  - {backbone: test_resnet}\n"
        "  - {backbone: resnet18, initialization: file:nowhere.safetensors}\n"
    )
    small_protocol.write_text(text[:start] + arms + text[text.index("recipe:") :])
    arguments = ("--rate", "1e-3", "--out", tmp_path / "s", "--cache", pixel_caches)
    refused = invoke("tune", small_protocol, *arguments)
    assert refused.exit_code == 1
    assert not (tmp_path / "s").exists()
    result = invoke("tune", small_protocol, *arguments, "--skip-missing")
    assert result.exit_code == 0, result.output
    assert "Skipped: resnet18 / file:nowhere.safetensors" in result.output
    assert invoke("protocol", "check", tmp_path / "s" / "tuned.yaml").exit_code == 0


@pytest.mark.slow
def test_tuning_picks_the_best_rate_of_each_arm(small_protocol, tmp_path, pixel_caches):
    out = tmp_path / "study"
    arguments = ("--rate", "1e-5", "--rate", "1e-3", "--out", out, "--cache", pixel_caches)
    result = invoke("tune", small_protocol, *arguments)
    assert result.exit_code == 0, result.output
    assert "base_lr:" in (out / "tuned.yaml").read_text()
    assert invoke("protocol", "check", out / "tuned.yaml").exit_code == 0
    assert not list(out.glob("tuning/*/predictions.parquet")), "tuning must not touch test images"


def test_help_names_the_defaults_that_depend_on_the_study():
    assert "studies/NAME" in invoke("run", "--help").output
