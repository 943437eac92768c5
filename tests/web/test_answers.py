"""The answers to a dropped image are those of the runs, and what is said beside them is right."""

import shutil

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_distances

from vitrial.compare.temperature import fit_temperature
from vitrial.errors import VitrialError
from vitrial.explain.features import first_runs, read_features
from vitrial.store.study import load_study
from vitrial.web.answers import load_panel


def file_of(study, image):
    return (study.path.parent / "data" / image).read_bytes()


@pytest.fixture(scope="module", params=["val", "test"])
def asked(request, odd_study, panel):
    """An image of the study's, and what the arms answer to its file."""
    manifest = odd_study.manifest()
    image = manifest.loc[manifest["split"] == request.param, "image"].iloc[0]
    return image, panel.answer(file_of(odd_study, image))


def test_an_image_of_the_study_is_answered_as_its_predictions_say(odd_study, asked):
    image, answer = asked
    for arm, (name, folder) in zip(answer.arms, first_runs(odd_study).items(), strict=True):
        assert arm.arm == name
        expected = folder.predictions().set_index("image").loc[image].filter(like="logit_")
        # One image at a time takes other kernels than a batch: bf16 rounds to 8 bits.
        np.testing.assert_allclose(arm.logits, expected.astype(float), atol=0.02)


def test_probabilities_are_those_of_the_temperature_that_validation_asks_for(odd_study, asked):
    _, answer = asked
    for arm, folder in zip(answer.arms, first_runs(odd_study).values(), strict=True):
        scaled = np.exp(arm.logits / arm.temperature)
        np.testing.assert_allclose(arm.probabilities, scaled / scaled.sum(), rtol=1e-5)
        val = folder.predictions().query("split == 'val'")
        logits = val.filter(like="logit_").to_numpy()
        assert arm.temperature == fit_temperature(val["target"].to_numpy(), logits)


def test_neighbors_are_training_images_by_the_angle_between_features(odd_study, asked):
    image, answer = asked
    manifest = odd_study.manifest().set_index("image")
    for arm, features in zip(answer.arms, read_features(odd_study).values(), strict=True):
        values = features.values.astype(np.float64)
        train = features.split == "train"
        distances = cosine_distances(values[features.images == image], values[train])[0]
        found = [one.similarity for one in arm.neighbors]
        np.testing.assert_allclose(found, 1 - np.sort(distances)[: len(found)], atol=0.01)
        assert found == sorted(found, reverse=True)
        for one in arm.neighbors:
            assert manifest.loc[one.image, ["split", "label"]].tolist() == ["train", one.label]
            assert one.pixels.shape == (40, 40, 1)


def test_a_training_image_finds_itself(odd_study, panel):
    manifest = odd_study.manifest()
    image = manifest.loc[manifest["split"] == "train", "image"].iloc[3]
    for arm in panel.answer(file_of(odd_study, image)).arms:
        best = max(one.similarity for one in arm.neighbors)
        mine = [one.similarity for one in arm.neighbors if one.image == image]
        np.testing.assert_allclose(mine, [best], atol=1e-4)


def test_a_study_without_a_run_has_nobody_to_ask(odd_study, tmp_path):
    shutil.copytree(odd_study.path, tmp_path / "copy", ignore=lambda *_: ["runs"])
    with pytest.raises(VitrialError, match="has no finished run"):
        load_panel(load_study(tmp_path / "copy"))
