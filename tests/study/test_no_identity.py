"""Names of patients in 40 spellings, in paths and headers; all bytes of outputs are searched."""

import html
import json
import re
import unicodedata
import urllib.parse
import zipfile
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Picture
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from starlette.testclient import TestClient
from typer.testing import CliRunner

from vitrial.cli import app
from vitrial.store.study import load_study
from vitrial.web.answers import load_panel
from vitrial.web.serve import serve_app

IN_PATHS = (
    "Gruenbaum_Oezlem",
    "Grunbaum-Ozlem",
    "GRÜNBAUM, Özlem",
    unicodedata.normalize("NFD", "grünbaum"),
    "OMalley",
    "O'Malley-Smith",
    "Smith-OMalley",
    "o_malley",
    "山田 太郎",
    "山田太郎",
    "やまだたろう",
    "Taro_Yamada",
    "YAMADA",
    "17.05.1943",
    "1943-05-17",
    "17051943",
    "17 May 1943",
    "px_90210",
    "PX90210",
    "acc556677",
    "Fernandez.Maria",
    "Μαρία Παππά",
    "Ольга Иванова",
    "Ng_Wei Ling",
)
IN_HEADERS = {
    "PatientName": "Grünbaum^Özlem",
    "PatientID": "PX-90210",
    "PatientBirthDate": "19430517",
    "OtherPatientIDs": "ID-7788-X",
    "OtherPatientNames": "Rumpelstilz^Ottokar",
    "AccessionNumber": "ACC-556677",
    "ReferringPhysicianName": "Nachtigall^Edeltraud",
    "InstitutionName": "Klinik Rosenhügel",
    "Manufacturer": "Kowalczyk^Bronisława",
    "StudyDescription": "Wójcik, Agnieszka",
    "SeriesDescription": "Papadopoulos",
    "ImageComments": "Tremblay Geneviève",
    "StationName": "Bondarenko",
    "Modality": "LINDQVIST",
    "BodyPartExamined": "PETTERSSON",
    "ViewPosition": "HALVORSEN",
    "Laterality": "STEFANSDOTTIR",
    "PatientSex": "Zimmermann",
    "PatientAge": "Dvorakova",
}
PRIVATE_TAG = "Szczepański"
SPELLINGS = (*IN_PATHS, *IN_HEADERS.values(), PRIVATE_TAG)
PROTOCOL = """
name: private
data: {source: dicom, root: root, table: labels.csv, key: file, on_problem: leave_out}
unlabeled: more
split: {fractions: [0.5, 0.25, 0.25]}
image: {resize: 40}
augment: {crop: 32}
arms:
  - {backbone: test_resnet, initialization: random+dino}
recipe: {base_lr: 1.0e-3, batch_size: 16, warmup_steps: 2, epochs: 1}
dino:
  {epochs: 1, warmup_epochs: 1, batch_size: 16, base_lr: 4.0e-3, hidden_dim: 32, output_dim: 32,
   local_views: {size: 32, count: 1}}
endpoint: balanced_accuracy
repetitions: 1
"""
RANDOM = np.random.default_rng(0)
NUMBERS = count()


def dicom(patient, pixels=None):
    """A DICOM file that names people in every element that may hold a text."""
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.SpecificCharacterSet = "ISO_IR 192"
    file.SOPClassUID = CTImageStorage
    file.SOPInstanceUID = generate_uid(entropy_srcs=[str(next(NUMBERS))])
    file.StudyInstanceUID = generate_uid(entropy_srcs=[str(patient)])
    with disable_value_validation():
        for keyword, value in IN_HEADERS.items():
            setattr(file, keyword, value)
        file.PatientID = f"PX-90210-{patient}"
    file.private_block(0x0011, "VENDOR", create=True).add_new(1, "LO", PRIVATE_TAG)
    file.Rows = file.Columns = 32
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated = file.BitsStored = 8
    file.HighBit, file.PixelRepresentation = 7, 0
    noise = RANDOM.integers(0, 256, (32, 32), dtype=np.uint8)
    file.PixelData = noise.tobytes() if pixels is None else pixels
    file["PixelData"].VR = "OB"
    return file


def save(file, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with disable_value_validation():
        file.save_as(path, enforce_file_format=True)


def plant(folder):
    """A data set, images without labels and images to explain, sound and damaged."""
    rows = []
    for i, name in enumerate(IN_PATHS):
        path = f"{name}/{IN_PATHS[i - 1]} {i}" + (".dcm" if i % 2 else "")
        save(dicom(i), folder / "root" / path)
        rows.append((path, "ab"[i % 2]))
        for place in ("more", "own"):
            save(dicom(100 + i), folder / place / name / f"{name}.dcm")
    for place in ("root", "more", "own"):
        patient = folder / place / "Gruenbaum_Oezlem"
        save(dicom("damaged", b"short "), patient / "OMalley.dcm")
        (patient / "px_90210.dcm").write_bytes(bytes(128) + b"DICM\x02\0\x10\0UI\xff\xff1")
        (patient / "Taro_Yamada.txt").write_text("a letter to Tremblay")
        (patient / "link-OMalley.dcm").symlink_to("/etc/hostname")
        Picture.fromarray(RANDOM.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(
            patient / "YAMADA.png"
        )
        with zipfile.ZipFile(folder / place / "Fernandez.Maria.zip", "w") as archive:
            archive.write(
                patient / "Gruenbaum_Oezlem.dcm", "acc556677.dcm"
            ) if place != "root" else None
    rows += [("Gruenbaum_Oezlem/OMalley.dcm", "a"), ("Taro_Yamada/not-there.dcm", "b")]
    pd.DataFrame(rows, columns=["file", "label"]).to_csv(folder / "root/labels.csv", index=False)
    (folder / "private.yaml").write_text(PROTOCOL)


def patterns(text):
    """How a text may be written: its cases, forms, escapes and encodings."""
    found = set()
    for plain in {text, text.replace("^", " "), text.split("^")[0], text.split("^")[-1]}:
        for form in ("NFC", "NFD"):
            for cased in (plain.lower(), plain.upper(), plain):
                written = unicodedata.normalize(form, cased)
                escaped = (json.dumps(written)[1:-1], html.escape(written))
                for spelt in {written, *escaped, urllib.parse.quote(written)}:
                    for encoding in ("utf-8", "utf-16-le", "utf-16-be", "latin-1", "cp1252"):
                        found.add(spelt.encode(encoding, "ignore").lower())
    return {pattern for pattern in found if len(pattern) >= 6}  # shorter ones occur by chance


PATTERNS = {text: patterns(text) for text in SPELLINGS}


def spellings_in(content):
    content = content.lower()
    return {text for text, several in PATTERNS.items() if any(p in content for p in several)}


def content_of(path):
    """A file's bytes, and besides what is compressed in them."""
    content = path.read_bytes()
    if path.suffix == ".parquet":
        content += pd.read_parquet(path).to_csv().encode()
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            content += b"".join(name.encode() + arrays[name].tobytes() for name in arrays)
    return content


def answers_of(panel, folder):
    """What `vitrial serve` answers to each DICOM file, without the pictures."""
    client = TestClient(serve_app(panel, "127.0.0.1"), base_url="http://127.0.0.1")
    files = [path for path in folder.rglob("*.dcm") if not path.is_symlink()]
    own = {"origin": "http://127.0.0.1"}
    answers = [client.post("/answer", content=file.read_bytes(), headers=own) for file in files]
    assert {answer.status_code for answer in answers} == {200, 422}
    return [re.sub('base64,[^"]*', "", answer.text) for answer in answers]


@pytest.mark.slow
def test_no_byte_of_any_output_names_a_patient(tmp_path, caplog, capfd):
    plant(tmp_path)
    inputs = [path for path in tmp_path.rglob("*") if path.is_file()]
    planted = b"".join(content_of(path) + str(path).encode() for path in inputs)
    assert spellings_in(planted) == set(SPELLINGS)

    out, protocol = tmp_path / "out", tmp_path / "private.yaml"
    out.mkdir()
    study, cache = out / "study", out / "cache"
    single = tmp_path / "own" / "山田 太郎" / "山田 太郎.dcm"
    said = []
    for arguments in (
        ("data", "audit", protocol, "--out", out / "check"),
        ("prepare", protocol, "--problems", out / "problems.csv"),
        ("run", protocol, "--out", study),
        ("explain", study, "--images", "4", "--root", tmp_path / "root"),
        ("explain", study, "--images", tmp_path / "own"),
        ("explain", study, "--images", single),
        ("table", study),
        ("status", study),
        ("report", study),
    ):
        where = [] if arguments[0] in ("table", "status", "report") else ["--cache", cache]
        result = CliRunner().invoke(app, [*map(str, arguments), *map(str, where)])
        # Problems with the data are there: damaged files, and a row without a file.
        assert result.exit_code == (arguments[0] == "data"), result.output
        said.append(result.output)
    said += answers_of(load_panel(load_study(study), tmp_path / "root", cache), tmp_path / "own")
    (out / "said").write_text("".join((*said, *capfd.readouterr(), caplog.text)))
    outputs = [path for path in out.rglob("*") if path.is_file()]
    kinds = {path.suffix for path in outputs}
    assert {".html", ".csv", ".parquet", ".json", ".npz", ".npy", ".safetensors"} <= kinds
    assert len(list(study.glob("explanations-*"))) == 2
    names = "\n".join(str(path.relative_to(out)) for path in out.rglob("*"))
    assert spellings_in(names.encode()) == set()
    for path in outputs:
        assert spellings_in(content_of(path)) == set(), path
    searched = sum(path.stat().st_size for path in outputs)
    print(f"{len(SPELLINGS)} spellings, {len(outputs)} files, {searched:,} bytes")


def test_the_search_finds_what_it_is_for(tmp_path):
    for text in SPELLINGS:
        for written in (text.upper().encode("utf-16-le"), json.dumps(text).encode()):
            assert text in spellings_in(b"\xff\x01" + written + b"\0")
        pd.DataFrame({"image": [text]}).to_parquet(tmp_path / "a.parquet")
        assert text in spellings_in(content_of(tmp_path / "a.parquet"))
    assert Path(__file__).name not in spellings_in(b"nothing")
