"""While a study is carried out, it is told how long it still takes."""

from simulated_studies import CNN, protocol, write_study
from vitrial.events import EpochEnded, TimeLeft, listening, tell
from vitrial.study.remaining import telling_time_left


def test_the_time_left_is_told_once_in_a_while(tmp_path, monkeypatch):
    study = write_study(tmp_path, protocol(), {f"{CNN} / random": [1.0]})
    monkeypatch.setattr("vitrial.study.remaining.seconds_left", lambda study: 90.0)
    told = []
    with listening(told.append), telling_time_left(study):
        for epoch in (1, 2, 3):
            tell(EpochEnded("stage", epoch, "kappa", 0.5, 0.5, epoch))
    assert [event for event in told if isinstance(event, TimeLeft)] == [TimeLeft(90.0)]
