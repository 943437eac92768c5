"""Nothing of the user's is overwritten, and what is refused is refused before any work."""

import pytest
from typer.testing import CliRunner

from vitrial.cli import app

PROTOCOL = """# My remarks.
name: mine
data: {source: phantom, patients: 24, size: 40}
image: {resize: 40}
augment: {crop: 32}
arms: [{backbone: test_resnet}]
endpoint: balanced_accuracy
"""
IMAGES = ("--data", "images", "--backbone", "test_resnet", "--crop", "32")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A user's folder, with files named like vitrial's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VITRIAL_CACHE", str(tmp_path.parent / "cache"))
    for name in ("problems.csv", "report/index.html", "index.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    (tmp_path / "protocol.yaml").write_text(PROTOCOL)
    return tmp_path


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "command",
    [
        ("run", "protocol.yaml", "--out", "."),
        ("tune", "protocol.yaml", "--out", "."),
        ("demo", "--out", "."),
        ("run", "protocol.yaml", "--out", "problems.csv"),
        ("pretrain", *IMAGES, "--out", "."),
        ("data", "audit", "protocol.yaml", "--out", "."),
        ("prepare", "protocol.yaml", "--problems", "problems.csv"),
    ],
    ids=" ".join,
)
def test_what_is_there_is_refused_before_any_work(command, folder):
    before = contents(folder)
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    said = " ".join(result.output.split())
    assert any(word in said for word in ("is not empty and holds no", "--overwrite", "is a file"))
    assert contents(folder) == before


def test_a_found_tuned_protocol_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies" / "mine").mkdir(parents=True)
    (tmp_path / "studies" / "mine" / "tuned.yaml").write_text("mine")
    (tmp_path / "protocol.yaml").write_text(PROTOCOL)
    result = CliRunner().invoke(app, ["tune", "protocol.yaml"])
    assert result.exit_code == 1
    assert "--overwrite" in result.output


def test_an_audit_may_be_repeated_and_a_file_replaced_on_request(folder):
    check = ["data", "audit", "protocol.yaml"]
    for _ in range(2):
        assert CliRunner().invoke(app, [*check, "--out", "new"]).exit_code == 0
    assert CliRunner().invoke(app, [*check, "--out", ".", "--overwrite"]).exit_code == 0
    assert (folder / "index.html").read_text() != "mine"
    prepare = ["prepare", "protocol.yaml", "--problems", "problems.csv", "--overwrite"]
    assert CliRunner().invoke(app, prepare).exit_code == 0
    assert (folder / "problems.csv").read_text() != "mine"
    assert (folder / "protocol.yaml").read_text() == PROTOCOL
