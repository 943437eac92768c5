import pytest

from drawn import axis, ends, marks, plots, texts
from simulated_studies import CNN, VIT, protocol, write_study
from vitrial.report.sections import verdict
from vitrial.report.snapshot import Snapshot
from vitrial.store.history import record_protocol


@pytest.fixture
def study(tmp_path):
    qualities = {f"{CNN} / random": [2.0, 2.1, 1.9], f"{VIT} / random": [1.0, 1.1]}
    arms = [{"backbone": name, "initialization": "random"} for name in (CNN, VIT)]
    stated = protocol(arms=arms, dino={})
    study = write_study(tmp_path / "s", stated, qualities)
    record_protocol(study.path, None, protocol(arms=arms, dino={}, margin=0.1))
    record_protocol(study.path, None, stated)
    return study


def test_the_section_says_the_answer_its_limits_and_what_was_amended(study):
    body = verdict.render(Snapshot(study))
    assert f"From scratch, {CNN} is superior to {VIT} on your images" in body
    assert "upheld" in body
    assert f"Caution: {VIT} / random has 2 of 3 runs" in body
    assert "Protocol amended after 5 runs: margin 0.1 -&gt; 0.02" in body
    assert "http" not in body


def test_the_plot_has_each_interval_in_place(study):
    (svg,) = plots(verdict.render(Snapshot(study)))
    (row,) = {id(f.effect): f for f in study.verdict()}.values()
    effect, x = row.effect, axis(svg, "x")
    assert [x(mark.x) for mark in marks(svg)] == pytest.approx([effect.difference], abs=2e-3)
    ((low, _, high, _),) = ends(svg)
    assert (x(low), x(high)) == pytest.approx((effect.low, effect.high), abs=2e-3)
    assert f"{CNN} − {VIT}, random" in texts(svg)


def test_a_study_of_one_arm_has_no_section(tmp_path):
    alone = protocol(arms=[{"backbone": CNN}], dino={})
    study = write_study(tmp_path / "s", alone, {f"{CNN} / random": [1.0]})
    assert verdict.render(Snapshot(study)) == ""


def test_without_any_run_there_is_no_plot(tmp_path):
    body = verdict.render(Snapshot(write_study(tmp_path / "s", protocol(), {})))
    assert "cannot be compared yet" in body
    assert "<svg" not in body
