import re
import sys
from dataclasses import replace

import pandas as pd
import pytest

from html_tables import tables_of
from vitrial.data.audit.audit import audit_prepared
from vitrial.data.prepared import prepare_data
from vitrial.data.sources.phantom import PhantomData
from vitrial.errors import Problem
from vitrial.protocol import Arm, Protocol
from vitrial.report import sections
from vitrial.report.page import write_report
from vitrial.store.run_folder import RunFolder
from vitrial.store.stage import Attempt, Machine, Normalization, Result
from vitrial.store.study import Study
from vitrial.study.plan import plan


@pytest.fixture
def study(tmp_path, pixel_caches):
    """A study with one failed run and hostile names, without training."""
    protocol = Protocol(
        name="hostile",
        description="<script>alert('description')</script>",
        data=PhantomData(source="phantom", patients=40, size=32),
        image={"resize": 32},
        augment={"crop": 32},
        arms=[Arm(backbone="resnet10t")],
        endpoint="balanced_accuracy",
        repetitions=2,
    )
    data = prepare_data(protocol.data, protocol.split, protocol.image, pixel_caches)
    data = replace(data, name="<b>data</b>")
    stages = plan(protocol, {"data": data.fingerprint()})
    study = Study.write(tmp_path / "study", protocol, data, stages, [])
    folder = RunFolder(study.path / stages[0].folder)
    with folder.claim():
        folder.fail("<img src=x onerror=alert(1)>")
    folder.write_metrics([{"epoch": 1, "train_loss": 1.4, "score": 0.3}])
    return study


def test_an_unfinished_study_has_a_page_that_says_so_and_runs_no_script(study):
    page = write_report(study).read_text(encoding="utf-8")
    assert "0 of 2 runs are done" in page
    assert "&lt;img src=x" in page
    assert page.count("<script") == 1, "its own"
    assert "<script>alert" not in page
    assert "<b>data</b>" not in page
    assert "<img src=x" not in page
    assert '<svg class="plot"' in page


def test_the_page_is_self_contained(study):
    page = write_report(study).read_text(encoding="utf-8")
    assert "http://" not in page
    assert "https://" not in page


def test_status_and_stale_runs(study):
    status = study.status()
    assert status["status"].tolist() == ["failed", "left"]
    assert study.stale_runs() == []
    stale = RunFolder(study.path / "runs" / "resnet10t-random-1-000000000000")
    stale.path.mkdir()
    assert study.stale_runs() == [], "nobody has been at work in it"
    stale.begin(Attempt(Machine("cpu", "32-true", 1, "x86_64"), {}))
    assert study.stale_runs() == ["runs/resnet10t-random-1-000000000000"]


def test_what_was_found_in_the_data_is_shown_with_contact_sheets(study, pixel_caches):
    protocol = study.protocol
    data = prepare_data(protocol.data, protocol.split, protocol.image, pixel_caches)
    image = data.manifest["image"][0]
    problems = [Problem(image, "<b>is odd</b>", "look", fatal=False), Problem("=1", "is no", "x")]
    stages = plan(protocol, {"data": data.fingerprint()})
    study = Study.write(study.path, protocol, data, stages, problems)
    assert image in write_report(study).read_text(encoding="utf-8"), "without an audit too"
    audit_prepared(data, study.path / "audit")
    page = write_report(study).read_text(encoding="utf-8")
    assert "1 problem: is no" in page
    assert "1 note: &lt;b&gt;is odd" in page
    assert page.count('<figure><img src="data:image/jpeg') == 1
    assert page.count('<img class="sheet" src="data:image/jpeg') == len(data.classes)
    assert "mean color" in page
    assert "Similarity of the splits" in page
    assert "images per group" in page


SECTION = """
from vitrial.report.template import template

TITLE, SUMMARY, ORDER = "Mine <i>", "What it shows.", 15


def render(snapshot):
    return "<p>arms: " + str(len(snapshot.protocol.arms)) + "</p>" if snapshot.protocol.arms else ""
"""


def test_a_file_more_is_a_section_more_in_its_place(study, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(SECTION)
    monkeypatch.setattr(sections, "__path__", [*sections.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "vitrial.report.sections.mine", raising=False)
    page = write_report(study).read_text(encoding="utf-8")
    heads = re.findall(r"<h2>(.*?)</h2>", page)
    place = heads.index("Mine &lt;i&gt;")
    assert heads[place - 1 : place + 2] == ["Table of arms", "Mine &lt;i&gt;", "Learning curves"]
    assert '<p class="note">What it shows.</p>\n<p>arms: 1</p>' in page
    assert '<a href="#mine">Mine &lt;i&gt;</a>' in page


def test_a_section_that_does_not_apply_is_left_out(study, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "TITLE = SUMMARY = 'Mine'\nORDER = 1\ndef render(snapshot): return ''\n"
    )
    monkeypatch.setattr(sections, "__path__", [*sections.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "vitrial.report.sections.mine", raising=False)
    assert "Mine" not in write_report(study).read_text(encoding="utf-8")


def test_counts_add_up(study):
    manifest = pd.read_parquet(study.path / "manifest.parquet")
    tables = tables_of(write_report(study).read_text(encoding="utf-8"))
    classes, flow = tables["classes"].set_index("Class"), tables["flow-figure-numbers"]
    steps = flow.set_index("Step")
    for split, title in {"train": "Training", "val": "Validation", "test": "Test"}.items():
        part = manifest[manifest["split"] == split]
        counts = [str(len(part)), str(part["group"].nunique())]
        assert classes.loc[["all images", "all patients or lesions"], title].tolist() == counts
        assert steps.loc[title].tolist() == counts
    assert steps.loc["Listed by the source", "Images"] == str(len(manifest))


def test_self_supervision_is_shown_with_the_neighbors_before_and_after(tmp_path, pixel_caches):
    protocol = Protocol(
        name="ssl",
        data=PhantomData(source="phantom", patients=40, size=32),
        split={"labeled": 0.5},
        image={"resize": 32},
        augment={"crop": 32},
        dino={"local_views": {"size": 32}},
        arms=[Arm(backbone="resnet10t", initialization="random+dino")],
        endpoint="balanced_accuracy",
        repetitions=1,
    )
    data = prepare_data(protocol.data, protocol.split, protocol.image, pixel_caches)
    stages = plan(protocol, {"data": data.fingerprint(), "unlabeled": "u"})
    study = Study.write(tmp_path / "study", protocol, data, stages, [])
    row = {"epoch": 1, "loss": 6.5, "spread": 0.71, "seconds": 60.0}
    RunFolder(study.path / stages[0].folder).write_metrics(
        [row | {"knn_before": 0.251}, row | {"knn": 0.42, "loss": 5.5}, row]
    )
    (found,) = study.selfsupervision().to_dict("records")
    assert found["name"] == "resnet10t / random+dino, self-supervision"
    assert (found["epochs"], found["knn_before"], found["knn"]) == (3, 0.251, 0.42)
    assert (found["first_loss"], found["minutes"]) == (6.5, 3.0)
    page = write_report(study).read_text(encoding="utf-8")
    (row,) = tables_of(page)["selfsupervised"].to_dict("records")
    assert (row["kNN before"], row["kNN after"]) == ("0.251", "0.42")
    assert "images whose labels are used" in page


def test_runs_of_different_precisions_and_machines_are_said_above_every_table(study):
    machines = [
        Machine(device="cpu", precision="32-true", threads=1, cpu="x86_64"),
        Machine(device="NVIDIA H100", precision="bf16-mixed", threads=1, cpu="x86_64"),
    ]
    for stage, machine in zip(study.facts.stages, machines, strict=True):
        folder = RunFolder(study.path / stage.folder)
        folder.begin(Attempt(machine, {}))
        folder.write_predictions(
            pd.DataFrame(
                {"image": list("abcd"), "label": list("abcd"), "group": list("abcd")}
                | {"split": "test", "target": [0, 1, 2, 3], "knn": 0}
                | {f"logit_{c}": [float(c == k) for k in range(4)] for c in range(4)}
            )
        )
        folder.finish(
            Result(
                epochs=1,
                history=[],
                training_seconds=60.0,
                images_per_second=9.0,
                classes=study.facts.classes,
                normalization=Normalization((0.5,), (0.5,)),
                parameters=10**6,
                best_epoch=1,
            )
        )
    page = write_report(study).read_text(encoding="utf-8")
    for shown in (study.caption(), page, (study.path / "report" / "table.md").read_text()):
        assert "in different precisions" in shown
        assert "32-true: resnet10t / random; bf16-mixed: resnet10t / random" in shown
        assert "on different machines" in shown
    (row,) = study.table().to_dict("records")
    assert row["precision"] == "32-true and bf16-mixed"
