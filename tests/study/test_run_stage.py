"""A stage is carried out by the study's folder and its key alone, wherever that is done."""

from dataclasses import replace

import pandas as pd
import pytest

from vitrial.errors import VitrialError
from vitrial.protocol.file import load_protocol
from vitrial.store.registration import register
from vitrial.store.run_folder import RunFolder, lay_down
from vitrial.store.study import Study, load_study
from vitrial.study.carry_out import Work
from vitrial.study.datasets import fingerprints, prepare_datasets
from vitrial.study.executors import executor_of
from vitrial.study.plan import plan
from vitrial.study.processes import starting
from vitrial.study.run import run_stage

PROTOCOL = """
name: tiny
data: {source: phantom, patients: 24, size: 40}
image: {resize: 40}
augment: {crop: 32}
split: {labeled: 0.8}
arms:
  - {backbone: test_efficientnet, initialization: "transfer:fundus+dino"}
sources:
  fundus: {source: phantom, task: fundus, patients: 24, size: 40}
recipe: {batch_size: 16, warmup_steps: 1, epochs: 2, precision: fp32}
dino:
  {epochs: 1, warmup_epochs: 0, batch_size: 16, hidden_dim: 16, output_dim: 16, precision: fp32,
   local_views: {size: 32, count: 1}}
endpoint: balanced_accuracy
repetitions: 1
"""


@pytest.fixture
def laid_down(tmp_path, pixel_caches):
    """A study of three stages, none of them begun, twice; and its stages."""
    (tmp_path / "tiny.yaml").write_text(PROTOCOL)
    protocol = load_protocol(tmp_path / "tiny.yaml")
    datasets = prepare_datasets(protocol, pixel_caches)
    stages = plan(protocol, fingerprints(datasets))
    for name in ("here", "there"):
        register(tmp_path / name, protocol)
        Study.write(tmp_path / name, protocol, datasets["data"], stages, [])
    return tmp_path / "here", tmp_path / "there", stages


@pytest.mark.slow
def test_another_process_needs_no_more_than_folder_and_key(laid_down, pixel_caches):
    here, there, stages = laid_down
    for stage in stages:
        place = {"cache": pixel_caches}
        process = starting().Process(target=run_stage, args=(here, stage.key), kwargs=place)
        process.start()
        process.join()
        assert process.exitcode == 0
    executor_of()(Work(there, pixel_caches), stages, None)
    found, expected = (load_study(root).runs()[0][1] for root in (here, there))
    pd.testing.assert_frame_equal(found.predictions(), expected.predictions(), check_exact=True)
    assert (load_study(here).status()["status"] == "done").all()


@pytest.mark.slow
def test_a_stage_is_never_carried_out_on_other_data(laid_down, pixel_caches):
    root, _, stages = laid_down
    other = replace(stages[0], data="another")
    lay_down(root, [other])
    with pytest.raises(VitrialError, match="have changed since it was planned"):
        run_stage(root, other.key, cache=pixel_caches)
    with pytest.raises(VitrialError, match="has no stage 000000000000"):
        run_stage(root, "000000000000", cache=pixel_caches)


def test_what_starts_from_a_stage_that_failed_says_so(laid_down, pixel_caches):
    root, _, stages = laid_down
    executor_of()(Work(root, pixel_caches), stages[-1:], None)
    assert (
        "self-supervision has not been completed" in RunFolder(root / stages[-1].folder).failure()
    )
