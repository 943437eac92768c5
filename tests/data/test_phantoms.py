import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from vitrial.data.phantoms.shapes import Frame, discs, waves
from vitrial.data.sources.phantom import TASKS, PhantomData, Phantoms, load

PER_20 = {
    "dermoscopy": {"nevus": 7, "keratosis": 5, "carcinoma": 4, "melanoma": 4},
    "fundus": {"0": 6, "1": 4, "2": 4, "3": 3, "4": 3},
    "mammogram": {"none": 11, "mass": 9},
}
EMPTY = {"dermoscopy": None, "fundus": "0", "mammogram": "none"}
tasks = pytest.mark.parametrize("task", TASKS)


def phantoms(task="dermoscopy", patients=20, size=48, seed=0):
    return PhantomData(source="phantom", task=task, patients=patients, size=size, seed=seed)


def pixels(reader, name):
    with Image.open(io.BytesIO(reader.read(name))) as image:
        return np.asarray(image)


@tasks
def test_manifest_lists_every_image_once_with_its_patient(task):
    dataset = load(phantoms(task, patients=60))
    manifest = dataset.manifest
    assert dataset.problems == []
    assert manifest.index.equals(manifest.reset_index().index)
    assert manifest["image"].is_unique
    assert (manifest["image"].str.split("/").str[0] == manifest["group"]).all()
    assert manifest.groupby("group").size().between(1, 3).all()
    assert manifest["group"].nunique() == 60
    assert set(dataset.reader.names()) == {*manifest["image"], *manifest["mask"]}


@tasks
def test_every_20_patients_have_the_stated_classes(task):
    dataset = load(phantoms(task, patients=100))
    patients = dataset.manifest.groupby("group")["label"]
    assert (patients.nunique() == 1).all()
    labels = patients.first().to_numpy().reshape(-1, 20)
    assert dataset.classes == list(PER_20[task])
    for block in labels:
        assert {name: (block == name).sum() for name in dataset.classes} == PER_20[task]
    assert not (labels[0] == labels[1]).all()


@tasks
def test_images_are_png_of_the_task(task):
    reader = Phantoms(phantoms(task, size=50))
    image = pixels(reader, "patient-0000/image-1.png")
    if task == "mammogram":
        assert image.shape == (50, 50)
        assert image.dtype == np.uint16
        assert image.max() > 32767
    else:
        assert image.shape == (50, 50, 3)
        assert image.dtype == np.uint8
    mask = pixels(reader, "patient-0000/mask-1.png")
    assert mask.shape == (50, 50)
    assert mask.dtype == np.uint8


@tasks
def test_masks_are_empty_exactly_where_there_is_no_lesion(task):
    dataset = load(phantoms(task, patients=40, size=64))
    for row in dataset.manifest.itertuples():
        mask = pixels(dataset.reader, row.mask)
        assert set(np.unique(mask)) <= {0, 255}
        assert mask.any() == (row.label != EMPTY[task]), row.image


@tasks
def test_a_drawing_depends_on_nothing_but_its_names(task):
    few, many = Phantoms(phantoms(task)), Phantoms(phantoms(task, patients=500))
    names = few.names()
    first = {name: few.read(name) for name in names[:12]}
    assert {name: many.read(name) for name in reversed(names[:12])} == first
    images = [content for name, content in first.items() if "image" in name]
    assert len(set(images)) == len(images)
    assert Phantoms(phantoms(task, seed=1)).read(names[0]) != first[names[0]]


@tasks
def test_a_drawing_is_the_same_picture_at_every_size(task):
    small, large = Phantoms(phantoms(task, size=64)), Phantoms(phantoms(task, size=192))
    for name in ("patient-0001/image-1.png", "patient-0002/image-1.png"):
        coarse = pixels(small, name).astype(float)
        fine = pixels(large, name).astype(float)
        shrunk = fine.reshape(64, 3, 64, 3, -1).mean((1, 3)).reshape(coarse.shape)
        assert np.corrcoef(coarse.ravel(), shrunk.ravel())[0, 1] > 0.95


@pytest.mark.parametrize(
    "name",
    [
        "patient-0020/image-1.png",
        "patient-0000/image-0.png",
        "patient-0000/image-4.png",
        "patient-00000/image-1.png",
        "patient-0000/image-1.jpg",
        "../patient-0000/image-1.png",
        "",
    ],
)
def test_an_unknown_file_is_not_found(name):
    reader = Phantoms(phantoms())
    with pytest.raises(FileNotFoundError, match="the phantoms hold no"):
        reader.read(name)
    with pytest.raises(FileNotFoundError, match="the phantoms hold no"):
        reader.stamp(name)


def test_a_stamp_tells_drawings_apart():
    name = "patient-0000/image-1.png"
    settings = [phantoms(), phantoms("fundus"), phantoms(size=49), phantoms(seed=1)]
    assert len({Phantoms(data).stamp(name) for data in settings}) == 4
    assert Phantoms(phantoms(patients=21)).stamp(name) == Phantoms(phantoms()).stamp(name)


def test_names_can_be_asked_for_by_suffix():
    reader = Phantoms(phantoms())
    assert reader.names(frozenset({".png", ".jpg"})) == reader.names() == sorted(reader.names())
    assert reader.names(frozenset({".jpg"})) == []


def test_more_severe_grades_show_more_lesions():
    dataset = load(phantoms("fundus", patients=80))
    area = [(pixels(dataset.reader, name) > 0).mean() for name in dataset.manifest["mask"]]
    by_grade = dataset.manifest.assign(area=area).groupby("label")["area"].median()
    assert by_grade.loc[["0", "1", "2", "3"]].is_monotonic_increasing
    assert by_grade["4"] > by_grade["2"]


def linear_probability(features, labels, groups):
    """Out-of-fold class probabilities of a logistic regression, by patient."""
    model = make_pipeline(
        StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000)
    )
    folds = GroupKFold(5)
    return cross_val_predict(
        model, features, labels, groups=groups, cv=folds, method="predict_proba"
    )


def drawn(task):
    dataset = load(phantoms(task, patients=260))
    table = dataset.manifest
    images = np.stack([pixels(dataset.reader, name) for name in table["image"]])
    masks = np.stack([pixels(dataset.reader, name) for name in table["mask"]]) > 0
    labels = table["label"].map(dataset.classes.index).to_numpy()
    return images.astype(float), masks, labels, table["group"].to_numpy()


def test_dermoscopy_is_not_told_by_mean_color_place_or_size():
    images, masks, labels, groups = drawn("dermoscopy")
    color = np.concatenate([images.mean((1, 2)), images.std((1, 2))], axis=1)
    guessed = linear_probability(color, labels, groups).argmax(1)
    assert balanced_accuracy_score(labels, guessed) < 0.52
    x = np.linspace(-1, 1, masks.shape[2])
    area = masks.mean((1, 2))
    place = [(masks.mean(axis) * x).sum(1) / area for axis in (1, 2)]
    geometry = np.stack([area, *place], axis=1)
    guessed = linear_probability(geometry, labels, groups).argmax(1)
    assert balanced_accuracy_score(labels, guessed) < 0.36


def test_a_mass_is_not_told_by_brightness():
    images, _, labels, groups = drawn("mammogram")
    brightness = np.stack([images.mean((1, 2)), images.std((1, 2))], axis=1)
    probability = linear_probability(brightness, labels, groups)[:, 1]
    assert 0.4 < roc_auc_score(labels, probability) < 0.6


poses = st.builds(
    Frame,
    size=st.integers(32, 80),
    angle=st.floats(-4, 4),
    zoom=st.floats(0.5, 2),
    shift=st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)),
    mirror=st.booleans(),
)


@given(poses, st.floats(-0.2, 0.2), st.floats(-0.2, 0.2))
@settings(max_examples=50, deadline=None)
def test_a_frame_finds_the_same_place_both_ways(frame, x, y):
    across, down = frame.place(np.array([[x, y]]))[0]
    column, row = (int((value + 1) * frame.size / 2) for value in (across, down))
    pixel = 2 / frame.size / frame.zoom
    assert abs(frame.x[row, column] - x) < pixel
    assert abs(frame.y[row, column] - y) < pixel


def test_waves_keep_to_the_subject():
    upright, mirrored = (
        waves(np.random.default_rng(3), Frame(64, mirror=mirror), 2) for mirror in (False, True)
    )
    np.testing.assert_allclose(mirrored, upright[:, ::-1], atol=1e-4)


def test_waves_have_unit_variance():
    rng = np.random.default_rng(0)
    field = np.stack([waves(rng, Frame(64), 3) for _ in range(60)])
    assert abs(field.mean()) < 0.05
    assert abs(field.var() - 1) < 0.1


def test_a_disc_covers_its_area():
    cover = discs(Frame(100, zoom=0.8), np.array([[0.1, -0.2]]), np.array([0.5]))
    assert cover.sum() * (2 / 100) ** 2 == pytest.approx(np.pi * 0.4**2, rel=0.02)
