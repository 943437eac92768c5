import pytest

from vitrial.protocol import Arm
from vitrial.protocol.comparison import default_comparisons
from vitrial.protocol.file import ProtocolError, load_protocol, protocol_text

PROTOCOL = """
name: small
data: {source: phantom}
image: {resize: 32}
augment: {crop: 32}
arms:
  - backbone: [resnet10t, vit_tiny_patch16_224]
    initialization: [random, timm]
endpoint: balanced_accuracy
"""
ONE = """
comparisons:
  - treatment: vit_tiny_patch16_224 / random
    control: resnet10t / random
    claim: non-inferior
"""
FAMILIES = {"resnet18": "cnn", "resnet10t": "cnn", "deit_tiny_patch16_224": "transformer"}


def load(tmp_path, text):
    path = tmp_path / "p.yaml"
    path.write_text(text)
    return load_protocol(path, build=False)


def faults(tmp_path, comparisons):
    with pytest.raises(ProtocolError) as caught:
        load(tmp_path, PROTOCOL + comparisons)
    return [(fault.line, fault.location, fault.sentence) for fault in caught.value.problems]


def defaults(*arms):
    listed = [Arm(backbone=backbone, initialization=start) for backbone, start in arms]
    return [
        (c.treatment.partition("_")[0].partition(" ")[0], c.claim, c.family)
        for c in default_comparisons(listed, FAMILIES)
    ]


def test_a_comparison_takes_margin_and_endpoint_from_the_protocol(tmp_path):
    protocol = load(tmp_path, PROTOCOL + ONE)
    (comparison,) = protocol.comparisons
    assert (comparison.margin, comparison.endpoint, comparison.alpha) == (None, None, 0.05)
    assert comparison.family == "primary"
    written = load(tmp_path, protocol_text(protocol))
    assert written == protocol
    assert written.hash() != load(tmp_path, PROTOCOL).hash(), "comparisons are part of it"


def test_an_unknown_arm_is_said_at_its_line_with_the_nearest(tmp_path):
    found = faults(tmp_path, ONE.replace("resnet10t / random", "resnet10 / random"))
    ((line, location, sentence),) = found
    assert (line, location) == (13, "comparisons[0].control")
    assert "no arm is called 'resnet10 / random'" in sentence
    assert "resnet10t / random" in sentence


@pytest.mark.parametrize(
    ("comparisons", "location", "words"),
    [
        (ONE.replace("vit_tiny_patch16_224", "resnet10t"), "comparisons[0].treatment", "itself"),
        (ONE + "    margin: 0", "comparisons[0].margin", "greater than 0"),
        (ONE + "    margin: -0.1", "comparisons[0].margin", "greater than 0"),
        (ONE + "    alpha: 1", "comparisons[0].alpha", "0.5 or less"),
        (ONE + "    endpoint: kapa", "comparisons[0].endpoint", "must be"),
        (ONE + "    claims: x", "comparisons[0].claims", "did you mean claim"),
        (ONE.replace("non-inferior", "better"), "comparisons[0].claim", "superior"),
        (ONE + ONE.partition(":\n")[2], "comparisons[1]", "comparisons[0] claims the same"),
        (ONE + "margin: 0.0", "comparisons[0].margin", "needs a margin above 0"),
    ],
)
def test_what_cannot_be_compared_is_said(tmp_path, comparisons, location, words):
    ((_, where, sentence),) = faults(tmp_path, comparisons)
    assert where == location
    assert words in sentence


def test_other_faults_are_found_beside_a_comparison_without_a_claim(tmp_path):
    text = "\n".join(line for line in ONE.splitlines() if "claim" not in line)
    found = faults(tmp_path, text + "\nunlabeled: nowhere\n")
    assert [location for _, location, _ in found] == ["comparisons[0].claim", "unlabeled"]


def test_the_papers_claims_are_the_default():
    vit = "deit_tiny_patch16_224"
    starts = ("random", "timm", "timm+dino")
    found = defaults(*((name, start) for start in starts for name in ("resnet18", vit)))
    assert found == [
        ("resnet18", "superior", "paper"),
        ("deit", "equivalent", "paper"),
        ("deit", "superior", "paper"),
        ("deit", "equivalent", "on par"),
        ("deit", "equivalent", "on par"),
    ]


def test_every_cnn_is_compared_with_every_transformer_of_its_initialization():
    vit = "deit_tiny_patch16_224"
    found = defaults(
        ("resnet18", "random"), (vit, "random"), ("resnet10t", "random"), (vit, "timm")
    )
    assert found == [("resnet18", "superior", "paper"), ("resnet10t", "superior", "paper")]


def test_without_such_a_pair_every_arm_is_compared_with_the_first():
    found = defaults(("resnet18", "random"), ("resnet10t", "random"), ("resnet10t", "timm"))
    assert found == [("resnet10t", "superior", "primary")] * 2
    assert defaults(("resnet18", "random")) == []
