import pandas as pd

from simulated_studies import CNN, VIT, protocol, write_study
from vitrial.protocol.file import write_protocol
from vitrial.report.snapshot import Snapshot
from vitrial.report.trust import checks
from vitrial.store.history import record_protocol
from vitrial.store.study import load_study

ARMS = [{"backbone": name, "initialization": "random"} for name in (CNN, VIT)]
MANIFEST = pd.DataFrame(
    {
        "image": [*"abcdef"],
        "label": [*"abcabc"],
        "group": ["p1", "p1", "p2", "p3", "p4", "p5"],
        "split": ["train", "test", "train", "val", "test", "test"],
        "sha256": ["1", "2", "3", "4", "5", "3"],
    }
)


def found(study, **known):
    """What the checks say of a study, of which some facts are given."""
    snapshot = Snapshot(study)
    defaults = {"manifest": MANIFEST, "audit": None, "runs": []}
    snapshot.__dict__.update(defaults | known)
    return {check.what: check for check in checks(snapshot)}


def test_leaks_few_patients_and_runs_that_are_missing_are_found(tmp_path):
    stated = protocol(arms=ARMS, dino={}, repetitions=2)
    said = found(write_study(tmp_path / "s", stated, {f"{CNN} / random": [1.0, 1.1]}))
    leaks = said["Leaks between splits"]
    assert leaks.state == "found"
    assert "In several splits: 1 of the patients or lesions." in leaks.said
    assert "In several splits: 1 of the files." in leaks.said
    assert "The test split has 3 patients or lesions" in said["Few patients or lesions"].said
    assert said["Few repetitions"].state == "found"
    assert said["Shortcuts"].state == "unknown", "nothing looked for them"
    assert said["Protocol changed"].state == "unknown", "an older program kept no history"


def test_an_amendment_is_found_and_an_unchanged_protocol_is_said_to_be_one(tmp_path):
    stated = protocol(arms=ARMS, dino={})
    study = write_study(tmp_path / "s", stated, {f"{CNN} / random": [1.0]})
    write_protocol(stated, study.path / "protocol.yaml")
    study = load_study(study.path)
    record_protocol(study.path, None, stated)
    assert found(study)["Protocol changed"].state == "none found"
    record_protocol(study.path, None, protocol(arms=ARMS, dino={}, margin=0.1))
    changed = found(study)["Protocol changed"]
    assert changed.state == "found"
    assert "margin 0.02 -> 0.1" in changed.said
