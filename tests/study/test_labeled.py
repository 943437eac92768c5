"""Which labels a run is trained on when a protocol allows a share of them."""

import json

import pytest

from vitrial.errors import VitrialError
from vitrial.protocol.file import load_protocol
from vitrial.study.execute import run


@pytest.fixture
def trained_on(tmp_path, pixel_caches, small_protocol, monkeypatch):
    """The training images of each run by arm and repetition; training itself is left out."""
    text = small_protocol.read_text().replace("repetitions: 1", "repetitions: 2")
    text = text.replace("  - backbone: test_resnet\n    initialization: transfer:fundus+dino\n", "")
    small_protocol.write_text(text[: text.index("sources:")] + text[text.index("recipe:") :])
    small_protocol.write_text(small_protocol.read_text() + "split: {labeled: 0.3}\n")
    seen = {}

    def no_fit(model, training, path, *rest):
        stage = json.loads((path / "stage.json").read_text())
        names = frozenset(training.data.rows_of("train")["image"])
        seen[stage["arm"]["backbone"], stage["repetition"]] = names
        assert stage["labeled"]["share"] == 0.3
        raise VitrialError("not trained")

    monkeypatch.setattr("vitrial.study.run.fit", no_fit)
    run(load_protocol(small_protocol), tmp_path / "study", cache=pixel_caches)
    return seen


def test_arms_share_the_labels_of_a_repetition_and_repetitions_do_not(trained_on):
    assert len(trained_on) == 4
    arms = {arm for arm, _ in trained_on}
    one, two = ({trained_on[arm, repetition] for arm in arms} for repetition in (1, 2))
    assert len(one) == len(two) == 1
    assert one != two
