import pytest

from vitrial.errors import VitrialError
from vitrial.protocol import Image
from vitrial.protocol.data import SOURCES
from vitrial.protocol.file import load_protocol
from vitrial.protocol.one_line import named_data

NAMED = {
    "folder": {},
    "ham10000": {},
    "aptos2019": {},
    "isic2019": {},
    "cbis_ddsm": {"task": "mass"},
    "cbis_ddsm:pathology": {"task": "pathology"},
    "medmnist:dermamnist@64": {"name": "dermamnist", "size": 64},
    "medmnist:chestmnist": {"name": "chestmnist", "size": 28},
    "csv:tables/labels.csv": {"table": "tables/labels.csv"},
    "dicom:labels.csv": {"table": "labels.csv"},
}


@pytest.mark.parametrize("text", NAMED)
def test_a_source_in_one_line(text, tmp_path):
    data, image, split = named_data(text, tmp_path)
    assert data.source == text.partition(":")[0]
    assert data.root == tmp_path
    assert {key: getattr(data, key) for key in NAMED[text]} == NAMED[text]
    assert image == Image()
    assert split is None


def test_sources_without_a_root():
    assert named_data("huggingface:owner/name")[0].repo == "owner/name"
    assert named_data("phantom:fundus@64")[0].size == 64
    named = {text.partition(":")[0] for text in NAMED}
    assert set(SOURCES.names()) == named | {"huggingface", "phantom", "python"}


def test_a_protocol_gives_its_data_its_images_and_its_split():
    data, image, split = named_data("demo")
    assert data.source == "phantom"
    assert image == load_protocol("demo").image != Image()
    assert split.fractions == (0.6, 0.15, 0.25)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("aptos2018", "did you mean aptos2019"),
        ("folder", "say where the data lie with --root"),
        ("folder:cats", "There is nothing after folder"),
        ("medmnist", "name is missing"),
        ("medmnist:dermamnist@big", "size: "),
        ("cbis_ddsm:color", "task: "),
        ("nowhere.yaml", "nowhere.yaml"),
    ],
)
def test_what_names_nothing_is_told_in_one_sentence(text, sentence):
    with pytest.raises(VitrialError, match=sentence):
        named_data(text)


def test_a_root_that_a_source_does_not_take_is_told(tmp_path):
    with pytest.raises(VitrialError, match="phantom: it takes no root"):
        named_data("phantom", tmp_path)
