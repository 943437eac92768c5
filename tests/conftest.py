import os
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores: a thread each
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

settings.register_profile("untimed", deadline=None)  # machines may be slow, and busy
settings.load_profile("untimed")


def pytest_collection_modifyitems(items):
    """Files with slow tests come first, so that no process is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared():
    """The folder of real data, outside the repository."""
    return SHARED


@pytest.fixture(scope="session")
def ham10000():
    """The real HAM10000 download, outside the repository."""
    root = SHARED / "ham10000"
    if not root.is_dir():
        pytest.skip(f"HAM10000 is not at {root}")
    return root


@pytest.fixture(scope="session")
def pneumoniamnist():
    """The real chest X-rays of a PneumoniaMNIST file, outside the repository."""
    found = list((SHARED / "pneumoniamnist").glob("*.npz"))
    if not found:
        pytest.skip(f"PneumoniaMNIST is not in {SHARED / 'pneumoniamnist'}")
    return found[0]


@pytest.fixture(scope="session")
def pixel_caches(tmp_path_factory):
    """One place for the pixel caches of all tests."""
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(scope="session")
def odd_study(tmp_path_factory, pixel_caches):
    """A finished study of image files, with two small arms."""
    from odd_study import write_odd_study

    return write_odd_study(tmp_path_factory.mktemp("odd"), pixel_caches)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory, pixel_caches):
    """Gives a study of `drawn_study` by its name, each drawn once, with its report written."""
    import drawn_study  # imports torch
    import vitrial

    @cache
    def give(name):
        root = tmp_path_factory.mktemp(name) / "images"
        study = getattr(drawn_study, name)(root, pixel_caches)
        vitrial.write_report(study)
        return study

    return give


@pytest.fixture(scope="session")
def panel(odd_study, pixel_caches):
    """The arms of that study, ready to be asked."""
    from vitrial.web.answers import load_panel

    return load_panel(odd_study, cache=pixel_caches)


SMALL = """
name: small
data: {source: phantom, task: dermoscopy, patients: 40, size: 40}
image: {resize: 40}
augment: {crop: 32}
arms:
  - backbone: [test_resnet, test_vit]
    initialization: [random]
  - backbone: test_resnet
    initialization: transfer:fundus+dino
sources:
  fundus: {source: phantom, task: fundus, patients: 40, size: 40}
recipe:
  base_lr: 1.0e-3
  batch_size: 16
  warmup_steps: 4
  epochs: 3
  plateau: {patience: 2, final_lr: 1.0e-5}
dino:
  {epochs: 3, warmup_epochs: 1, batch_size: 16, base_lr: 4.0e-3, hidden_dim: 32, output_dim: 32,
   knn_every: 2, local_views: {size: 32, count: 1}}
endpoint: balanced_accuracy
repetitions: 1
"""


@pytest.fixture(scope="session")
def write_small_protocol():
    """Writes a protocol file that trains in seconds into a folder, and gives its path."""

    def write(folder):
        path = folder / "small.yaml"
        path.write_text(SMALL)
        return path

    return write


@pytest.fixture
def small_protocol(write_small_protocol, tmp_path):
    """A protocol file that trains in seconds."""
    return write_small_protocol(tmp_path)
