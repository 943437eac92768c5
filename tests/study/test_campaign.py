"""A small part of the campaign of damage and kills in benchmarks/."""

from pathlib import Path

import pytest
import typer


@pytest.mark.slow
def test_every_damaged_file_of_a_run_and_a_killed_study_come_back_to_the_bit(monkeypatch, capfd):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    import campaign

    with pytest.raises(typer.Exit) as ended:
        campaign.main(kills=2, executor="inline", quick=True, only="random+dino-1", json=None)
    assert ended.value.exit_code == 0, capfd.readouterr().err
