"""A data set that is made in Python, in place of a source."""

import hashlib
import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import vitrial
from vitrial.data.prepared import prepare_data
from vitrial.data.sources import load_dataset
from vitrial.data.sources.python import give, with_dataset
from vitrial.errors import VitrialError
from vitrial.protocol import Protocol
from vitrial.protocol.file import load_protocol, protocol_text


class Memory:
    """Reads PNG files that are held in memory."""

    def __init__(self, files):
        self.files = files

    def read(self, name):
        return self.files[name]

    def stamp(self, name):
        return hashlib.sha256(self.files[name]).hexdigest()


def made(seed=0, n=24, **changes):
    random = np.random.default_rng(seed)
    files = {}
    for i in range(n):
        content = io.BytesIO()
        pixels = random.integers(0, 100, (40, 40, 3)) + 100 * (i % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(content, "PNG")
        files[f"{i}.png"] = content.getvalue()
    table = {"image": list(files), "label": [("dark", "bright")[i % 2] for i in range(n)]}
    manifest = pd.DataFrame(table | {"group": [f"patient {i // 2}" for i in range(n)]} | changes)
    return vitrial.Dataset("mine", manifest, ["dark", "bright"], Memory(files))


def protocol(**changes):
    content = {
        "name": "given",
        "data": {"source": "phantom", "limit": 20},
        "image": {"resize": 32},
        "augment": {"crop": 32},
        "arms": [{"backbone": "test_efficientnet"}],
        "recipe": {"epochs": 1, "warmup_steps": 1, "batch_size": 8, "precision": "fp32"},
        "endpoint": "accuracy",
        "repetitions": 1,
    }
    return Protocol.model_validate(content | changes)


def test_it_stands_where_a_source_is_named_and_reads_back():
    dataset = made()
    trial = protocol(data=dataset, sources={"other": made(1)})
    assert load_dataset(trial.data).manifest.equals(dataset.manifest)
    assert trial.sources["other"].content != trial.data.content
    assert Protocol.model_validate(trial.model_dump()) == trial


def test_a_protocol_of_it_is_a_file_like_any_other(tmp_path):
    trial = protocol(data=made())
    (tmp_path / "trial.yaml").write_text(protocol_text(trial))
    assert load_protocol(tmp_path / "trial.yaml", build=False) == trial


def test_other_labels_or_pixels_are_another_study():
    dataset = made()
    swapped = replace(dataset, manifest=dataset.manifest.assign(label=["bright", "dark"] * 12))
    names = {give(one).content for one in (dataset, swapped, made(1))}
    assert len(names) == 3
    assert give(made()) == give(dataset)


def test_what_the_protocol_says_of_its_data_holds_for_it():
    assert with_dataset(protocol(), made()).data.limit == 20


def test_fingerprints_do_not_mix(tmp_path):
    trial = protocol(data=made())
    prepared = {
        prepare_data(give(one), trial.split, trial.image, tmp_path).fingerprint()
        for one in (made(), made(1), made())
    }
    assert len(prepared) == 2


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"label": "gray"}, "labels that are no classes: gray"),
        ({"image": "0.png"}, "names '0.png' twice"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused(change, sentence):
    with pytest.raises(VitrialError, match=sentence):
        give(made(**change))


def test_a_missing_column_is_named():
    dataset = made()
    with pytest.raises(VitrialError, match="lacks group"):
        give(replace(dataset, manifest=dataset.manifest.drop(columns="group")))


def test_of_another_process_it_is_asked_for_again():
    unknown = protocol(data={"source": "python", "name": "mine", "content": "0" * 12}).data
    with pytest.raises(VitrialError, match=r"mine was made in Python .* vitrial\.run"):
        load_dataset(unknown)


@pytest.mark.slow
def test_a_study_of_it(tmp_path):
    study = vitrial.run(protocol(), tmp_path / "study", data=made(), cache=tmp_path / "cache")
    assert study.status()["status"].tolist() == ["done"]
    assert study.facts.data == "mine"
