import io

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from vitrial.cli import app
from vitrial.data.prepared import prepare_data
from vitrial.data.sources.phantom import PhantomData
from vitrial.errors import VitrialError
from vitrial.protocol import Arm, Protocol
from vitrial.report.secondary import FORMS, render
from vitrial.report.sections import cost, secondary
from vitrial.report.snapshot import Snapshot
from vitrial.store.analyses import Request, analyze, read_analyses, write_analyses
from vitrial.store.costs import arm_costs, write_costs
from vitrial.store.run_folder import RunFolder
from vitrial.store.stage import Attempt, Machine, Normalization, Result
from vitrial.store.study import Study
from vitrial.study.plan import plan

ROW = {"parameters": 5e6, "macs": 9e7, "training_bytes": 9e7, "inference_bytes": 3e7,
       "training_images_per_second": 9.0, "latency_ms": 5.0, "images_per_second": 30.0,
       "joules_per_training_image": None}  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory, pixel_caches):
    """Two arms, each with two runs whose answers are made up."""
    protocol = Protocol(
        name="made-up",
        data=PhantomData(source="phantom", patients=120, size=32),
        image={"resize": 32},
        augment={"crop": 32},
        arms=[Arm(backbone="resnet10t"), Arm(backbone="xcit_nano_12_p16_224")],
        endpoint="balanced_accuracy",
        repetitions=2,
    )
    data = prepare_data(protocol.data, protocol.split, protocol.image, pixel_caches)
    stages = plan(protocol, {"data": data.fingerprint()})
    study = Study.write(tmp_path_factory.mktemp("made") / "study", protocol, data, stages, [])
    for place, stage in enumerate(stages):
        folder = RunFolder(study.path / stage.folder)
        rows = data.manifest[data.manifest["split"] != "train"].reset_index(drop=True)
        table = rows[["image", "label", "group", "split", "target"]].assign(knn=0)
        for c in range(len(data.classes)):
            noise = (rows.index * (7 + place) + 3 * c) % 11 / 5
            table[f"logit_{c}"] = noise + (rows["target"] == c)
        with folder.claim():
            folder.begin(Attempt(Machine("cpu", "32-true", 1, "x"), {}))
            folder.write_predictions(table)
            folder.finish(
                Result(
                    epochs=1,
                    history=[],
                    training_seconds=60.0,
                    images_per_second=9.0,
                    classes=tuple(data.classes),
                    normalization=Normalization((0.5,), (0.5,)),
                    parameters=1,
                    best_epoch=1,
                )
            )
    return study


def test_every_analysis_is_kept_shown_at_80_columns_and_on_the_page(study):
    names = [run.name for run, _ in study.runs()]
    positive = study.facts.classes[0]
    request = Request(positive=positive, two_runs=(names[0], names[-1]))
    found = analyze(study, request)
    folder = write_analyses(study, found)
    assert {path.stem for path in folder.glob("*.csv")} == set(found.tables)
    again = read_analyses(study)
    assert again is not None
    for name, table in found.tables.items():
        pd.testing.assert_frame_equal(
            again.tables[name], table.reset_index(drop=True), check_dtype=False
        )
    for form in FORMS:
        console = Console(width=80, file=io.StringIO())
        for shown in render(again, form):
            console.print(shown, markup=False)
        assert "balanced accuracy" in console.file.getvalue()
        if form == "terminal":
            assert "…" not in console.file.getvalue()
    html = secondary.render(Snapshot(study))
    assert "Exploratory" in html
    assert f"Operating point for {positive}" in html
    assert "Other runs are done" not in html
    assert html.count("<svg") == 2, "reliability and decision curves of one initialization"


def test_a_study_without_analyses_or_cost_has_no_section(study, tmp_path):
    empty = Study(tmp_path, study.protocol, study.facts)
    assert (secondary.render(Snapshot(empty)), cost.render(Snapshot(empty))) == ("", "")


def test_all_that_is_asked_for_and_not_there_is_said_at_once(study):
    request = Request(subgroups=("height",), positive="no class", two_runs=("x", "y"), level=2)
    with pytest.raises(VitrialError) as caught:
        analyze(study, request)
    assert "sha256" not in str(caught.value), "a file's checksum makes no subgroup"
    for part in ("height is no column", "no class is no class", "x is no finished run", "of 2"):
        assert part in str(caught.value)


def test_from_the_command_line(study, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = CliRunner().invoke(app, ["analyze", str(study.path), "--format", "markdown"])
    assert result.exit_code == 0, result.output
    assert "| balanced accuracy | A - B |" in result.output
    assert (study.path / "analyses" / "metrics.csv").exists()
    for options in (["--format", "word"], ["--sensitivity", ".9", "--specificity", ".9"]):
        result = CliRunner().invoke(app, ["analyze", str(study.path), *options])
        assert result.exit_code == 1
        assert "Traceback" not in result.output


def test_what_arms_cost_and_which_no_other_beats(study):
    costs = {"machine": {"device": "cpu", "precision": "32-true", "cpu": "x", "threads": 1}}
    costs |= {"batch_size": 16, "crop": 32, "busy": 0.0}
    rows = [{"backbone": arm.model, **ROW} for arm in study.protocol.arms]
    rows[1]["latency_ms"] = 50.0
    write_costs(study, costs | {"rows": rows})
    table = arm_costs(study.protocol, study.scores(), costs | {"rows": rows})
    better = table["endpoint"].idxmax()
    assert table["front"][better]
    assert table["front"][0], "nothing is cheaper"
    html = cost.render(Snapshot(study))
    assert "largest / smallest" in html
    assert "10.00" in html
    assert "busy" not in html
