import numpy as np
import pytest

from vitrial.explain import plane as module
from vitrial.explain.features import Features, write_features
from vitrial.explain.images import study_data
from vitrial.explain.plane import plane, read_planes, write_planes
from vitrial.records import DamagedError


def features(images=60, test=40, classes=2, spread=1.0):
    rng = np.random.default_rng(0)
    target = np.arange(images) % classes
    values = spread * (rng.normal(size=(images, 24)) + 6 * target[:, None])
    split = np.array(["test"] * test + ["train"] * (images - test))
    names = np.array([f"{i}.png" for i in range(images)])
    return Features(names, split, target, values.astype(np.float16))


def test_images_of_a_class_that_features_tell_apart_are_near_each_other():
    found = plane(features())
    assert found.places.shape == (40, 2)
    distance = np.linalg.norm(found.places[:, None] - found.places[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    assert (found.target[distance.argmin(axis=1)] == found.target).all()


def test_the_same_features_give_the_same_places():
    np.testing.assert_array_equal(plane(features()).places, plane(features()).places)


def test_of_many_images_some_are_drawn(monkeypatch):
    monkeypatch.setattr(module, "MOST", 25)
    found = plane(features())
    assert len(found.places) == len(found.target) == 25


@pytest.mark.parametrize("of", [features(test=9), features(spread=0.0)])
def test_few_images_or_such_that_are_all_alike_have_no_plane(of):
    assert plane(of) is None


def test_features_beyond_the_images_number_and_single_ones_are_placed():
    many = features()
    one = Features(many.images, many.split, many.target, many.values[:, :1])
    for of in (features(images=12, test=12), one):
        assert np.isfinite(plane(of).places).all()


def test_planes_of_a_study_are_kept_and_verified(odd_study, pixel_caches):
    write_features(odd_study, study_data(odd_study, None, pixel_caches))
    write_planes(odd_study)
    found = read_planes(odd_study)
    assert set(found) <= {arm.name for arm in odd_study.protocol.arms}
    assert found
    path = next((odd_study.path / "explanations" / "features").glob("*-plane-*.npz"))
    before = path.read_bytes()
    path.write_bytes(before[:-50])
    with pytest.raises(DamagedError, match=r"`vitrial explain .*` recomputes it"):
        read_planes(odd_study)
    write_planes(odd_study)
    assert path.read_bytes() == before
