import pandas as pd
import pytest

from drawn import texts
from simulated_studies import protocol, write_study
from vitrial.compare.published import PUBLISHED
from vitrial.data.flow import Flow
from vitrial.report.figures.flow import Box, Step, draw
from vitrial.report.sections.flow import numbers
from vitrial.report.sections.result import with_the_papers
from vitrial.report.snapshot import Snapshot

FLOW = Flow(listed=9, refused=1, left_out={"cannot be decoded": 3}, groups=6, joined=5)
MANIFEST = pd.DataFrame(
    {"group": [*"aabcde"], "split": ["train", "train", "train", "train", "val", "test"]}
)


def test_the_flow_counts_every_step():
    shown = numbers(FLOW, MANIFEST).set_index("Step")
    assert shown.loc["Listed by the source", "Images"] == 9
    assert shown.loc["Left out: cannot be decoded", "Images"] == 3
    assert shown.loc["Used, patients or lesions as the data name them"].tolist() == [6, 6]
    assert shown.loc["Used, copies and near copies joined"].tolist() == [6, 5]
    assert shown.loc["Training"].tolist() == [4, 3]


def test_an_older_study_has_the_flow_from_what_is_used_on():
    assert numbers(None, MANIFEST)["Step"].tolist()[0] == "Used, copies and near copies joined"


def test_the_flow_is_drawn_in_words():
    from xml.etree import ElementTree

    steps = [Step(Box("Listed", ("9 images",)), ("3 cannot be decoded",)), Step(Box("Used", ()))]
    svg = draw("flow", "9 images", steps, [Box(name, ("1 image",)) for name in ("A", "B", "C")])
    words = " ".join(texts(ElementTree.fromstring(str(svg))))
    assert "Listed 9 images" in words
    assert "Left out 3 cannot be decoded" in words
    assert [name for name in ("A", "B", "C") if f"{name} 1 image" in words] == ["A", "B", "C"]


@pytest.mark.parametrize("endpoint", ["quadratic_kappa", "accuracy"])
def test_the_papers_medians_stand_beside_the_same_arms_and_endpoint(tmp_path, endpoint):
    arms = [
        {"backbone": backbone, "initialization": start}
        for start in ("random", "imagenet+dino")
        for backbone in ("resnet50", "deit_small_patch16_224")
    ]
    data = {"source": "aptos2019", "root": str(tmp_path)}
    stated = protocol(arms=[*arms, {"backbone": "resnet18"}], data=data, endpoint=endpoint)
    study = write_study(tmp_path / "s", stated, {})
    words = with_the_papers(Snapshot(study))
    if endpoint == "accuracy":
        assert "The paper's" not in words
        return
    shown = words.set_index(["Initialization", "Backbone"])["The paper's"].to_dict()
    assert shown["random", "deit_small_patch16_224"] == "0.687"
    assert shown["imagenet+dino", "resnet50"] == "0.894"
    assert shown["random", "resnet18"] == "-"
    assert PUBLISHED["aptos2019"].median("resnet50", "imagenet") == 0.893
