"""A small part of the campaign of damage in benchmarks/."""

from pathlib import Path

import pytest
import typer


@pytest.mark.slow
def test_every_damaged_file_of_a_run_comes_back_to_the_bit(monkeypatch, capfd):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    import campaign

    with pytest.raises(typer.Exit) as ended:
        campaign.main(quick=True, only="random+dino-1", json=None)
    assert ended.value.exit_code == 0, capfd.readouterr().err
