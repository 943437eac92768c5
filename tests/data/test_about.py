import pytest
import yaml
from pydantic import TypeAdapter
from typer.testing import CliRunner

from vitrial.cli import app
from vitrial.data.about import about, describe, protocol_lines, titles
from vitrial.errors import VitrialError
from vitrial.protocol import Data
from vitrial.protocol.data import SOURCES

NAMES = [*SOURCES.names(), "medmnist:pathmnist", "medmnist:dermamnist@64"]


@pytest.mark.parametrize("name", NAMES)
def test_every_source_is_described(name):
    known = about(name)
    for text in (known.title, known.license, known.where, known.layout, known.size):
        assert text.strip() == text
        assert text
    assert "\n" not in known.title
    shown = " ".join(describe(name).split())
    for text in (known.title, known.license, known.where, known.layout, protocol_lines(name)):
        assert " ".join(text.split()) in shown


@pytest.mark.parametrize("name", NAMES)
def test_the_lines_for_a_protocol_are_valid(name):
    content = yaml.safe_load(protocol_lines(name))["data"]
    data = TypeAdapter(Data).validate_python(content)
    source, _, part = name.partition(":")
    assert data.source == source
    if part:
        assert part in (data.name, f"{data.name}@{data.size}")
    # Whatever the lines do not show is at its default.
    assert data.model_dump(exclude_unset=True).keys() == content.keys()


def test_licenses():
    licenses = {
        "ham10000": "CC BY-NC 4.0",
        "isic2019": "CC BY-NC 4.0",
        "cbis_ddsm": "CC BY 3.0",
        "aptos2019": "Kaggle",
    }
    for name, license in licenses.items():
        assert license in about(name).license


def test_the_classes_are_those_of_the_source():
    assert about("aptos2019").classes == ("0", "1", "2", "3", "4")
    assert about("isic2019").classes == ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC")


def test_all_sources_are_listed():
    lines = titles().splitlines()
    assert [line.split()[0] for line in lines] == list(SOURCES.names())
    assert all(about(line.split()[0]).title in line for line in lines)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("aptos2018", "no data set 'aptos2018', did you mean aptos2019"),
        ("ISIC2019", "did you mean isic2019"),
        ("isic2019:mel", "no data set 'isic2019:mel'"),
        ("zzz", "no data set 'zzz'. There are aptos2019, "),
        ("", "no data set ''"),
    ],
)
def test_an_unknown_name_is_told_the_nearest(name, sentence):
    with pytest.raises(VitrialError) as caught:
        about(name)
    assert sentence in str(caught.value)


def invoke(*arguments):
    return CliRunner().invoke(app, ["data", "info", *arguments])


def test_the_command():
    shown = invoke("isic2019")
    assert shown.exit_code == 0
    for text in ("25,331", "11,847", "CC BY-NC 4.0", "https://", "  source: isic2019\n"):
        assert text in shown.output
    wrong = invoke("isic2091")
    assert wrong.exit_code == 1
    assert "did you mean isic2019" in wrong.output


def test_the_command_without_a_name():
    shown = invoke()
    assert shown.exit_code == 0
    assert titles() in shown.output
