"""The features of every image, computed once and read again."""

import numpy as np
import pandas as pd
import pytest

import vitrial
from vitrial.explain.features import read_features, write_features
from vitrial.explain.images import study_data
from vitrial.records import DamagedError


@pytest.fixture(scope="module")
def data(odd_study, pixel_caches):
    return study_data(odd_study, None, pixel_caches)


@pytest.fixture(scope="module")
def found(odd_study, data):
    write_features(odd_study, data)
    return read_features(odd_study)


def test_every_image_has_the_features_that_the_head_turns_into_its_logits(odd_study, found):
    assert list(found) == [arm.name for arm in odd_study.protocol.arms]
    manifest = odd_study.manifest().set_index("image")
    run = next(folder for run, folder in odd_study.runs() if run.arm == "test_resnet / random")
    features = found["test_resnet / random"]
    assert sorted(features.images) == sorted(manifest.index)
    assert (manifest.loc[features.images, "split"] == features.split).all()
    assert (manifest.loc[features.images, "target"] == features.target).all()
    head = vitrial.load_model(run.path).model.get_classifier()
    weight, bias = (part.detach().numpy() for part in (head.weight, head.bias))
    logits = pd.DataFrame(features.values.astype(float) @ weight.T + bias, features.images)
    predictions = run.predictions().set_index("image")
    expected = predictions.filter(like="logit_")
    np.testing.assert_allclose(logits.loc[expected.index], expected, atol=2e-3)  # float16


def test_what_is_there_is_not_computed_again_and_what_is_damaged_is(odd_study, data, found):
    paths = sorted((odd_study.path / "explanations" / "features").glob("*.npz"))
    before = [path.read_bytes() for path in paths]
    paths[0].write_bytes(before[0][:-100])
    with pytest.raises(DamagedError, match=r"is damaged: `vitrial explain .*` recomputes it"):
        read_features(odd_study)
    kept = paths[1].stat().st_mtime_ns
    write_features(odd_study, data)
    assert [path.read_bytes() for path in paths] == before
    assert paths[1].stat().st_mtime_ns == kept
