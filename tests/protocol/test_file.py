from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitrial.data.sources.aptos2019 import Aptos2019Data
from vitrial.data.sources.csv import CsvData
from vitrial.data.sources.folder import FolderData
from vitrial.errors import VitrialError
from vitrial.protocol import Protocol
from vitrial.protocol.file import (
    ProtocolError,
    load_protocol,
    protocol_text,
    ready_protocols,
    show,
    write_protocol,
)

SMALL = """\
name: trial
data: {source: phantom}
arms:
  - backbone: [resnet18, deit_tiny_patch16_224]
    initialization: [random, imagenet]
endpoint: balanced_accuracy
"""

# Each fault is told by the comment in its line: the location, and a piece of the sentence.
PLANTED = """\
name: my trial                              # name | may hold letters, digits
nmae: other                                 # nmae | did you mean name?
epochs: 3                                   # epochs | belongs in recipe
data:
  source: csv
  roto: data                                # data.roto | did you mean root?
  table: 7                                  # data.table | must be text, not 7
  classes: [no, yes, no]                    # data.classes | more than once: no
  group: label                              # data.group | already the one of label
sources:
  isic:
    source: foldr                           # sources.isic.source | did you mean folder?
    root: x
    sheet: y                                # sources.isic.sheet | the keys here are limit
image:
  resize: 128
augment:
  crop: 256                                 # augment.crop | does not fit into image.resize 128
  jitter:
    hue: 0.7                                # augment.jitter.hue | must be 0.5 or less, not 0.7
    hue: 0.1                                # augment.jitter.hue | given twice, first in line 20
  hflip: yes                                # augment.hflip | must be a number, not 'yes'
split:
  fractions: [0.7, 0.3, 0.3]                # split.fractions | add up to 1.3
  grouped: on                               # split.grouped | must be true or false
arms:
  - backbone:
      - resnet5O                            # arms[0].backbone[0] | did you mean resnet50
      - resnet18
    initialization:
      - random
      - imagenett                           # arms[0].initialization[1] | did you mean imagenet?
  - backbone: resnet34
    initialization: transfer:ham            # arms[1].initialization | names no entry of sources
  - backbone: resnet34
    initialization: random+dno              # arms[2].initialization | did you mean dino?
  - backbone: resnet18                      # arms[3].backbone | 'resnet18 / random' is listed
  - resnet26                                # arms[4] | must be a group of keys
recipe:
  optimizer: adamm                          # recipe.optimizer | must be adam or adamw
  bse_lr: 1e-3                              # recipe.bse_lr | unknown key, did you mean base_lr?
  epochs: ten                               # recipe.epochs | must be a whole number, not 'ten'
  batch_size: 0                             # recipe.batch_size | must be 1 or more, not 0
  plateau:
    factor: true                            # recipe.plateau.factor | must be a number, not true
pretrain:
  plateau:
    final_lr: 1                             # pretrain.plateau.final_lr | exceeds pretrain.base_lr
dino:                                       # dino | warmup_epochs 10 exceed epochs 5
  epochs: 5
byol:
  viws: 2                                   # byol.viws | unknown key, did you mean views?
endpoint: quadratic_kapa                    # endpoint | did you mean quadratic_kappa?
repetitions:                                # repetitions | must be a whole number, not empty
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "trial.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def faults(folder: Path, text: str, root: Path | None = None) -> list[str]:
    with pytest.raises(ProtocolError) as caught:
        load_protocol(write(folder, text), root)
    problems = [str(problem) for problem in caught.value.problems]
    assert str(caught.value).splitlines()[1:] == [f"  {problem}" for problem in problems]
    assert str(folder / "trial.yaml") in str(caught.value).splitlines()[0]
    return problems


def test_planted_faults_are_all_reported_at_once_with_their_lines(tmp_path: Path) -> None:
    planted = {
        (number, *map(str.strip, match[1].split("|", 1)))
        for number, line in enumerate(PLANTED.splitlines(), start=1)
        if (match := re.search(r"# (.*\|.*)", line))
    }
    assert len(planted) >= 25
    with pytest.raises(ProtocolError) as caught:
        load_protocol(write(tmp_path, PLANTED))
    reported = caught.value.problems
    for line, location, piece in planted:
        here = [p for p in reported if p.line == line and p.location == location]
        assert [piece in problem.sentence for problem in here] == [True], (line, location, here)
    assert len(reported) == len(planted)
    assert "line 41: recipe.bse_lr: unknown key, did you mean base_lr?" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "holds no keys"),
        ("- a\n", "holds no keys"),
        ("name: a\n\tdata: b\n", "line 2: not YAML: indented by a tab"),
        ("name: [a\nb: c\n", "line 2: not YAML"),
        ("name: a\n---\nname: b\n", "line 2: not YAML"),
        ("a: &x 1\nb: *x\n", "line 2: not YAML: write the value out"),
        ("a: 1\nb: \x01\n", "line 2: a character that is no text"),
        ("[" * 5000, "nested too deeply"),
    ],
)
def test_text_that_is_no_yaml(tmp_path: Path, text: str, fault: str) -> None:
    assert faults(tmp_path, text)[0].startswith(fault)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("name: trial", "name: !!python/name:os.system x", "line 1: name: cannot read"),
        ("name: trial", "seed: 1" + "0" * 5000, "line 1: seed: cannot read"),
        ("name: trial", "name: trial\nname: again", "line 2: name: given twice, first in line 1"),
        ("name: trial", "name: trial\n? [a]\n: b", "line 2: a key must be a plain word"),
        ("name: trial\n", "", "name: is missing"),
        ("source: phantom", "size: 64", "line 2: data.source: is missing: write aptos2019, "),
        ("{source: phantom}", "phantom", "line 2: data: must be a group of keys"),
        ("[random, imagenet]", "[]", "line 5: arms[0].initialization: must be text"),
        ("phantom", "{source: folder, root: ~nobody-here/x}", "line 2: data"),
    ],
)
def test_single_faults(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert any(found.startswith(fault) for found in faults(tmp_path, SMALL.replace(old, new)))


def test_text_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "trial.yaml"
    path.write_bytes(SMALL.replace("trial", "x\ndescription: \xe9").encode("latin-1"))
    with pytest.raises(ProtocolError, match="line 2: not UTF-8 text"):
        load_protocol(path)
    path.write_bytes(b"\xef\xbb\xbf" + SMALL.encode())
    assert load_protocol(path).name == "trial"


def test_folder_in_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="cannot be read"):
        load_protocol(tmp_path)


def test_lists_of_an_arm_stand_for_all_combinations(tmp_path: Path) -> None:
    names = [arm.name for arm in load_protocol(write(tmp_path, SMALL)).arms]
    assert names == [
        "resnet18 / random",
        "resnet18 / imagenet",
        "deit_tiny_patch16_224 / random",
        "deit_tiny_patch16_224 / imagenet",
    ]


def test_a_fault_in_a_listed_backbone_is_reported_once(tmp_path: Path) -> None:
    found = faults(tmp_path, SMALL.replace("resnet18,", "resnet18x,\n      "))
    assert len(found) == 1
    assert found[0].startswith("line 4: arms[0].backbone[0]: timm has no backbone 'resnet18x'")


def test_scalars_do_not_surprise(tmp_path: Path) -> None:
    text = SMALL.replace("phantom", "folder, root: x, classes: [no, NO, 1e4, 010, ~, true]")
    text += "recipe: {base_lr: 1e-4, weight_decay: 1E-5, epochs: 010, compile: True}\n"
    text += "description: 2021-10-01\n"
    protocol = load_protocol(write(tmp_path, text))
    assert protocol.data.classes == ["no", "NO", "1e4", "010", "~", "true"]
    recipe = protocol.recipe
    assert (recipe.base_lr, recipe.weight_decay, recipe.epochs) == (1e-4, 1e-5, 10)
    assert recipe.compile is True
    assert protocol.description == "2021-10-01"


def test_paths_start_at_the_folder_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    text = SMALL.replace("phantom", "folder, root: images").replace(
        "[resnet18, deit_tiny_patch16_224]\n    initialization: [random, imagenet]",
        "resnet18\n    initialization: file:../w.pth+dino",
    )
    protocol = load_protocol(write(tmp_path, text))
    assert isinstance(protocol.data, FolderData)
    assert protocol.data.root == tmp_path / "images"
    assert protocol.arms[0].initialization == f"file:{tmp_path.parent / 'w.pth'}+dino"


def test_root_takes_the_place_of_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, source in {"quick": FolderData, "matsoukas2021": Aptos2019Data}.items():
        here, given = load_protocol(name).data, load_protocol(name, Path("mine")).data
        assert isinstance(here, source)
        assert isinstance(given, source)
        assert (here.root, given.root) == (tmp_path / "data", tmp_path / "mine")
    assert load_protocol("quick", Path("~/mine")).data == FolderData(
        source="folder", root=Path.home() / "mine"
    )
    text = SMALL.replace("phantom", "csv, table: t.csv")
    data = load_protocol(write(tmp_path, text), tmp_path / "x.zip").data
    assert isinstance(data, CsvData)
    assert data.root == tmp_path / "x.zip"


def test_root_for_a_source_without_one(tmp_path: Path) -> None:
    found = faults(tmp_path, SMALL.replace("trial", "a trial"), root=tmp_path)
    assert len(found) == 2
    assert found[1].startswith("line 2: data.source: the source phantom reads no folder")
    missing = faults(tmp_path, SMALL.replace("phantom", "folder"), root=Path("~nobody-here/x"))
    assert missing == ["line 2: data.root: there is no such user as in '~nobody-here/x'"]


def test_unknown_protocols_get_the_nearest_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, SMALL)
    with pytest.raises(VitrialError, match="choose quick or") as caught:
        load_protocol("quik")
    assert "matsoukas2021" in str(caught.value)
    with pytest.raises(ProtocolError, match=r"there is no such file, did you mean trial\.yaml"):
        load_protocol("trail.yaml")
    with pytest.raises(ProtocolError, match="choose matsoukas2021 or"):
        show("matsoukas")


def test_ready_protocols_are_valid_and_open_with_a_comment() -> None:
    ready = ready_protocols()
    assert {"quick", "matsoukas2021"} <= set(ready)
    for name, summary in ready.items():
        assert load_protocol(name).name == name
        assert summary
        assert show(name).startswith(f"# {summary}\n")


PAPER = {
    "matsoukas2021": ("aptos2019", "quadratic_kappa", (0.7, 0.15, 0.15)),
    "matsoukas2021-isic2019": ("isic2019", "balanced_accuracy", (0.8, 0.1, 0.1)),
    "matsoukas2021-cbis-ddsm": ("cbis_ddsm", "roc_auc", (0.8, 0.1, 0.1)),
}


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_protocols(name: str) -> None:
    protocol = load_protocol(name)
    said = (protocol.data.source, protocol.endpoint, protocol.split.fractions)
    assert said == PAPER[name]
    assert protocol.split.grouped
    assert len(protocol.arms) == 6  # two backbones by three initializations
    assert {arm.backbone for arm in protocol.arms} == {"resnet50", "deit_small_patch16_224"}
    rates = {str(arm.origin): protocol.recipe_of(arm).base_lr for arm in protocol.arms}
    assert rates == {"random": 3e-4, "imagenet": 1e-4, "imagenet+dino": 1e-4}
    assert protocol.augment.ratio == (3 / 4, 4 / 3)
    assert protocol.repetitions == 5


def test_the_papers_protocols_differ_in_their_data_only() -> None:
    first, *others = (load_protocol(name) for name in PAPER)
    for other in others:
        for part in ("arms", "recipe", "augment", "dino", "share_pretraining"):
            assert getattr(other, part) == getattr(first, part)
        assert other.image.resize == first.image.resize


def test_written_file_is_readable(tmp_path: Path) -> None:
    path = tmp_path / "new" / "copy.yaml"
    protocol = load_protocol("quick", tmp_path)
    write_protocol(protocol, path)
    text = path.read_text()
    assert text.startswith("name: quick\n")
    assert "data:\n  source: folder\n  root: " in text
    assert "fractions: [0.7, 0.15, 0.15]" in text
    assert list(path.parent.iterdir()) == [path]
    assert load_protocol(path).hash() == protocol.hash()


texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "no",
            "1e-4",
            "1e4",
            "010",
            "~",
            "",
            "a: b",
            "# x",
            "- y",
            "a\n  b\n",
            "\ufeff",
            "\x85",
            "a\u2028b",
        ]
    ),
)
rates = st.floats(2e-6, 10)
classes = st.none() | st.lists(texts.filter(bool), min_size=2, max_size=4, unique=True)
roots = texts.filter(lambda text: not set(text) & set("\0$~")).map(Path)
limits = st.none() | st.integers(10, 10**6)
seeds = st.integers(-(2**63), 2**63 - 1)
data = st.one_of(
    st.fixed_dictionaries({"source": st.just("folder"), "root": roots, "classes": classes}),
    st.fixed_dictionaries(
        {"source": st.just("csv"), "root": roots, "table": texts, "limit": limits}
    ),
    st.fixed_dictionaries({"source": st.just("phantom"), "seed": seeds}),
)
arms = st.lists(
    st.fixed_dictionaries(
        {
            "backbone": st.sampled_from(["resnet18", "deit_tiny_patch16_224"]),
            "initialization": st.sampled_from(["random", "imagenet"]),
            "recipe": st.none()
            | st.fixed_dictionaries(
                {}, optional={"base_lr": rates, "clip_norm": st.none() | rates}
            ),
        }
    ),
    min_size=1,
    unique_by=lambda arm: (arm["backbone"], arm["initialization"]),
)
recipes = st.fixed_dictionaries(
    {"base_lr": rates, "clip_norm": st.none() | rates, "compile": st.booleans()}
)


@settings(deadline=None, max_examples=50)
@given(
    st.fixed_dictionaries(
        {
            "name": st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]*\Z"),
            "description": texts,
            "data": data,
            "arms": arms,
            "recipe": recipes,
            "augment": st.sampled_from([{}, {"jitter": None}, {"jitter": {"p": 1}}]),
            "sources": st.dictionaries(
                st.from_regex(r"[a-c][0-9._-]{0,3}", fullmatch=True), data, max_size=2
            ),
            "endpoint": st.just("roc_auc"),
        }
    )
)
def test_what_is_written_reads_back_as_the_same_protocol(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any]
) -> None:
    protocol = Protocol.model_validate(content)
    path = tmp_path_factory.getbasetemp() / "written.yaml"
    write_protocol(protocol, path)
    again = load_protocol(path)
    assert again == protocol
    assert again.hash() == protocol.hash()
    assert protocol_text(again) == protocol_text(protocol)
