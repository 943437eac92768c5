import io
import multiprocessing
import os
import pickle
import re
import shutil
import signal
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom.data
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from vitrial import atomic
from vitrial.data.cache import DamagedCacheError, PixelCache, prepare
from vitrial.data.io.decode import decode, dicom_decoders
from vitrial.data.manifest import Dataset
from vitrial.errors import VitrialError
from vitrial.events import listening
from vitrial.protocol import Image

SMALL = Image(resize=16)
STATM = Path("/proc/self/statm")


@pytest.fixture(autouse=True)
def shown():
    """What is told is shown, as on the command line."""
    with listening():
        yield


def png(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    content = io.BytesIO()
    Pillow.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


class Memory:
    """A reader of files in memory that counts what is read."""

    def __init__(self, contents):
        self.contents, self.reads = contents, 0

    def read(self, name):
        self.reads += 1
        content = self.contents[name]
        if isinstance(content, BaseException):
            raise content
        return content

    def stamp(self, name):
        return str(zlib.crc32(self.contents[name]))


def dataset_of(contents):
    names = list(contents)
    manifest = pd.DataFrame({"image": names, "label": "a", "group": names})
    return Dataset("memory", manifest, ["a"], Memory(contents))


CONTENTS = {f"{i}.png": png(i) for i in range(12)}


@pytest.fixture(autouse=True, scope="module")
def small_shards():
    """Shards of 5 images at 16 pixels."""
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr("vitrial.data.cache.format.SHARD_BYTES", 5 * 16 * 16 * 3)
        yield


@pytest.fixture(scope="module")
def twelve(tmp_path_factory):
    return prepare(dataset_of(CONTENTS), SMALL, tmp_path_factory.mktemp("cache"))[0]


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.integers(0, 11), max_size=30))
def test_rows_are_the_decoded_images_in_the_order_asked(twelve, rows):
    read = twelve.read(np.array(rows, dtype=np.int64))
    assert (read.shape, read.dtype) == ((len(rows), 16, 16, 3), np.uint8)
    for pixels, row in zip(read, rows, strict=True):
        content = CONTENTS[twelve.index["image"][row]]
        np.testing.assert_array_equal(pixels, decode(content, SMALL).pixels)


def test_the_index_says_what_the_files_are(twelve):
    assert list(twelve.index.columns) == ["image", "sha256", "bytes", "width", "height", "mode"]
    assert twelve.index["image"].tolist() == list(CONTENTS)
    assert twelve.index["sha256"].is_unique
    kinds = twelve.index[["width", "height", "mode"]].drop_duplicates()
    assert kinds.to_numpy().tolist() == [[24, 20, "RGB"]]
    assert twelve.shape == (12, 16, 16, 3)
    pixels = [np.load(path) for path in sorted(twelve.path.glob("*/pixels.npy"))]
    assert [len(shard) for shard in pixels] == [5, 5, 2]
    np.testing.assert_array_equal(np.concatenate(pixels), twelve.read(np.arange(12)))


def test_what_is_read_is_a_copy(twelve):
    first = twelve.read(np.array([3]))
    first[:] = 0
    assert twelve.read(np.array([3])).any()


@pytest.mark.parametrize("row", [-1, 12])
def test_other_rows_are_refused(twelve, row):
    with pytest.raises(IndexError, match="of 12 images"):
        twelve.read(np.array([0, row]))


def test_a_second_time_no_file_is_read(tmp_path):
    dataset = dataset_of(CONTENTS | {"bad.png": b"text", "alpha.png": rgba()})
    first, problems = prepare(dataset, SMALL, tmp_path)
    assert dataset.reader.reads == 14
    second, again = prepare(dataset, SMALL, tmp_path)
    assert dataset.reader.reads == 14
    assert second.key == first.key
    assert [(p.where, p.fatal) for p in problems] == [("bad.png", True), ("alpha.png", False)]
    assert problems == again
    pd.testing.assert_frame_equal(first.index, second.index)


def rgba():
    content = io.BytesIO()
    Pillow.new("RGBA", (16, 16)).save(content, "PNG")
    return content.getvalue()


def test_images_that_cannot_be_used_leave_no_gap(tmp_path):
    contents = {"a.png": png(1), "bad.png": b"", "b.png": png(2)}
    cache, problems = prepare(dataset_of(contents), SMALL, tmp_path)
    assert cache.index["image"].tolist() == ["a.png", "b.png"]
    np.testing.assert_array_equal(cache.read([1])[0], decode(png(2), SMALL).pixels)
    assert [p.where for p in problems] == ["bad.png"]
    assert np.load(cache.path / "00000" / "pixels.npy").shape == (2, 16, 16, 3)
    sound, _ = prepare(dataset_of({"a.png": png(1), "b.png": png(2)}), SMALL, tmp_path)
    assert sound.key == cache.key


def test_no_image_can_be_used(tmp_path):
    cache, problems = prepare(dataset_of({"bad.png": b""}), SMALL, tmp_path)
    assert cache.shape == (0, 16, 16, 3)
    assert len(cache.read([])) == 0
    assert len(problems) == 1


def test_the_key_changes_with_content_name_order_and_preparation(tmp_path):
    def key(contents, image=SMALL):
        return prepare(dataset_of(contents), image, tmp_path)[0].key

    keys = [
        key({"a": png(1), "b": png(2)}),
        key({"a": png(1), "b": png(3)}),
        key({"a": png(1), "c": png(2)}),
        key({"b": png(2), "a": png(1)}),
        key({"a": png(1), "b": png(2)}, Image(resize=16, channels=1)),
        key({"a": png(1), "b": png(2)}, Image(resize=17)),
        key({"a": png(1), "b": png(2)}, Image(resize=16, window=(0, 1))),
    ]
    assert len(set(keys)) == len(keys)


def test_a_file_that_could_not_be_read_is_read_again(tmp_path):
    # The stamp may be the same when the network is back.
    contents = {"a.png": png(1), "b.png": PermissionError(13, "Permission denied")}
    dataset = dataset_of(contents)
    dataset.reader.stamp = lambda name: "same"
    cache, problems = prepare(dataset, SMALL, tmp_path)
    assert cache.shape[0] == 1
    assert "Permission denied" in problems[0].what
    contents["b.png"] = png(2)
    cache, problems = prepare(dataset, SMALL, tmp_path)
    assert (cache.shape[0], problems) == (2, [])


FILES = ("00001/pixels.npy", "index.parquet", "about.json")
ALL = np.arange(12)


def flip(path, at):
    """Damage a file by one bit, as a failing disk does."""
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: os.truncate(path, 0),
    "removed": lambda path: path.unlink(),
    "a bit of its header": lambda path: flip(path, 30),
    "a bit of the middle": lambda path: flip(path, path.stat().st_size // 2),
    "a bit of the end": lambda path: flip(path, -1),
}
# All of the pixels and of the index; of the rest what it proves them with.
DAMAGED = [(name, damage) for name in FILES[:2] for damage in DAMAGE]
DAMAGED += [("about.json", damage) for damage in ("truncated", "emptied", "removed")]


def expected_of(contents):
    return np.stack([decode(content, SMALL).pixels for content in contents.values()])


def told(capfd):
    """What was told, in one line."""
    return " ".join(capfd.readouterr().err.split())


@pytest.mark.parametrize(("name", "damage"), DAMAGED)
def test_a_damaged_cache_is_made_again_and_that_is_said(tmp_path, capfd, name, damage):
    dataset = dataset_of(CONTENTS)
    cache, _ = prepare(dataset, SMALL, tmp_path)
    whole = {name: (cache.path / name).read_bytes() for name in FILES}
    DAMAGE[damage](cache.path / name)
    again, problems = prepare(dataset, SMALL, tmp_path)
    assert (again.key, problems) == (cache.key, [])
    np.testing.assert_array_equal(again.read(ALL), expected_of(CONTENTS))
    said = "is damaged(, or of an older version: it is rebuilt|: 5 images are restored)"
    assert len(re.findall(said, told(capfd))) == 1
    assert {name: (cache.path / name).read_bytes() for name in FILES} == whole
    # And from then on it is as good as any.
    prepare(dataset, SMALL, tmp_path)[0].verify()
    assert "damaged" not in capfd.readouterr().err


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 12 * 16 * 16 * 3 - 1), bit=st.integers(0, 7))
def test_any_changed_bit_of_the_pixels_is_noticed(twelve, tmp_path_factory, at, bit):
    folder = tmp_path_factory.mktemp("changed") / "cache"
    shutil.copytree(twelve.path, folder)
    row, place = divmod(at, 16 * 16 * 3)
    path = folder / f"{row // 5:05d}" / "pixels.npy"
    content = bytearray(path.read_bytes())
    content[128 + row % 5 * 16 * 16 * 3 + place] ^= 1 << bit
    path.write_bytes(content)
    changed = PixelCache(folder)
    with pytest.raises(DamagedCacheError, match="is damaged: remove it"):
        changed.read(np.array([row - 1, row, (row + 1) % 12]) % 12)
    with pytest.raises(DamagedCacheError):
        changed.verify()
    np.testing.assert_array_equal(
        changed.read(np.delete(ALL, row)), twelve.read(np.delete(ALL, row))
    )


def test_a_damaged_listing_is_written_again(tmp_path):
    cache, _ = prepare(dataset_of(CONTENTS), SMALL, tmp_path)
    next((tmp_path / "listings").iterdir()).write_text("{")
    again, _ = prepare(dataset_of(CONTENTS), SMALL, tmp_path)
    np.testing.assert_array_equal(again.read(ALL), cache.read(ALL))


@pytest.mark.parametrize("damage", ["a bit of the middle", "truncated", "removed"])
def test_damage_that_comes_later_is_met_in_reading(tmp_path, capfd, damage):
    cache, _ = prepare(dataset_of(CONTENTS), SMALL, tmp_path)
    copied = pickle.loads(pickle.dumps(cache))
    cache.read(ALL)
    DAMAGE[damage](cache.path / "00001" / "pixels.npy")
    with pytest.raises(DamagedCacheError, match="remove it"):
        copied.read(ALL)  # what is pickled has no files to make it from
    with ThreadPoolExecutor(8) as pool:
        for read in pool.map(lambda _: cache.read(ALL), range(16)):
            np.testing.assert_array_equal(read, expected_of(CONTENTS))
    assert told(capfd).count("is damaged: 5 images are restored.") == 1
    np.testing.assert_array_equal(copied.read(ALL), expected_of(CONTENTS))


def test_a_reader_keeps_the_file_that_is_replaced(tmp_path):
    cache, _ = prepare(dataset_of(CONTENTS), SMALL, tmp_path)
    mapped = np.load(cache.path / "00002" / "pixels.npy", mmap_mode="r")
    flip(cache.path / "00002" / "pixels.npy", -1)
    folder = cache.path.stat().st_ino
    cache.read(ALL)
    assert cache.path.stat().st_ino == folder
    # The old file, with its damage: its mapping is whole, and another file has its name.
    assert (mapped[0] == cache.read(ALL)[10]).all()
    assert (mapped[1] != cache.read(ALL)[11]).sum() == 1


def test_damage_of_a_cache_whose_files_have_changed_is_an_error(tmp_path):
    dataset = dataset_of(dict(CONTENTS))
    cache, _ = prepare(dataset, SMALL, tmp_path)
    flip(cache.path / "00000" / "pixels.npy", -1)
    stamp = dataset.reader.stamp("3.png")
    dataset.reader.contents["3.png"] = png(99)
    dataset.reader.stamp = lambda name: (
        stamp if name == "3.png" else str(zlib.crc32(CONTENTS[name]))
    )
    with pytest.raises(DamagedCacheError, match="have changed since: give the same command again"):
        cache.read(ALL)
    again, _ = prepare(dataset, SMALL, tmp_path)
    assert again.key != cache.key
    np.testing.assert_array_equal(again.read(ALL), expected_of(dataset.reader.contents))


def test_a_cache_without_checksums_is_of_an_older_version(twelve, tmp_path):
    shutil.copytree(twelve.path, tmp_path / "old")
    twelve.index.to_parquet(tmp_path / "old" / "index.parquet")
    (tmp_path / "old" / "about.json").write_text('{"dataset": "memory", "images": 12}')
    with pytest.raises(DamagedCacheError, match="of an older version: remove it"):
        PixelCache(tmp_path / "old")


def test_the_decoders_of_dicom_are_in_the_key_where_there_is_dicom(tmp_path, monkeypatch):
    file = Path(pydicom.data.get_testdata_file("CT_small.dcm")).read_bytes()
    plain, dicom = dataset_of(CONTENTS), dataset_of(CONTENTS | {"a.dcm": file})
    first = [prepare(dataset, SMALL, tmp_path)[0].key for dataset in (plain, dicom)]
    assert {"pydicom", "pylibjpeg", "pylibjpeg-openjpeg"} <= set(dicom_decoders())
    other = dicom_decoders() | {"pylibjpeg-openjpeg": "99"}
    monkeypatch.setattr("vitrial.data.cache.making.dicom_decoders", lambda: other)
    plain.reader.reads = dicom.reader.reads = 0
    second = [prepare(dataset, SMALL, tmp_path)[0].key for dataset in (plain, dicom)]
    assert (plain.reader.reads, dicom.reader.reads) == (0, 13)
    assert second[0] == first[0]
    assert second[1] != first[1]


def test_two_at_once(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: prepare(dataset_of(CONTENTS), SMALL, tmp_path), "ab"))
    (first, _), (second, _) = results
    assert first.key == second.key
    np.testing.assert_array_equal(first.read([5]), second.read([5]))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["listings", first.key])


class Killer(Memory):
    """Kills its process at an image."""

    def read(self, name):
        if name == "7.png":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(name)


def prepare_killed(root):
    dataset = replace(dataset_of(CONTENTS), reader=Killer(CONTENTS))
    with pytest.MonkeyPatch.context() as patching:  # a spawned process has none of the fixtures
        patching.setattr("vitrial.data.cache.format.SHARD_BYTES", 5 * 16 * 16 * 3)
        prepare(dataset, SMALL, root)


def test_a_run_that_is_killed_loses_a_shard(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=prepare_killed, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    dataset = dataset_of(CONTENTS)
    cache, problems = prepare(dataset, SMALL, tmp_path)
    assert (dataset.reader.reads, problems) == (7, [])
    np.testing.assert_array_equal(cache.read(ALL), expected_of(CONTENTS))
    assert {path.name for path in tmp_path.iterdir()} == {"listings", cache.key}
    assert sorted(path.name for path in cache.path.iterdir()) == sorted(
        ["00000", "00001", "00002", "about.json", "index.parquet"]
    )


def test_a_run_that_breaks_off_leaves_no_cache(tmp_path):
    dataset = dataset_of(CONTENTS | {"last.png": KeyboardInterrupt()})
    dataset.reader.stamp = lambda name: name
    with pytest.raises(KeyboardInterrupt):
        prepare(dataset, SMALL, tmp_path)
    assert not list(tmp_path.rglob("about.json"))


class Waiting(Memory):
    """Reads an image of the second shard only when another process has begun the last one."""

    def __init__(self, contents, begun):
        super().__init__(contents)
        self.begun, self.names = begun, []

    def read(self, name):
        self.names.append(name)
        if name == "11.png":
            self.begun.set()
        if name == "5.png":
            assert self.begun.wait(30)
        return super().read(name)


def test_two_at_once_share_the_work(tmp_path):
    begun = threading.Event()
    datasets = [replace(dataset_of(CONTENTS), reader=Waiting(CONTENTS, begun)) for _ in "ab"]
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda dataset: prepare(dataset, SMALL, tmp_path), datasets))
    assert sorted(datasets[0].reader.names + datasets[1].reader.names) == sorted(CONTENTS)
    for cache, problems in made:
        assert (cache.key, problems) == (made[0][0].key, [])
        np.testing.assert_array_equal(cache.read(ALL), expected_of(CONTENTS))
    assert {path.name for path in tmp_path.iterdir()} == {"listings", made[0][0].key}


def test_a_cache_of_an_older_version_is_made_anew(twelve, tmp_path):
    cache, _ = prepare(dataset_of(CONTENTS), SMALL, tmp_path)
    (cache.path / "pixels.npy").write_bytes(b"all of them in one file")
    (cache.path / "about.json").write_text('{"shape": [12, 16, 16, 3], "index": ""}')
    again, _ = prepare(dataset_of(CONTENTS), SMALL, tmp_path)
    assert again.key == cache.key == twelve.key
    np.testing.assert_array_equal(again.read(ALL), expected_of(CONTENTS))
    assert not (again.path / "pixels.npy").exists()


def test_old_leftovers_are_removed_and_new_ones_left_alone(tmp_path):
    for name, age in (("old", 10 * atomic.STALE), ("new", 0)):
        left = tmp_path / f"{atomic.PARTIAL}{name}"
        (left / "new").mkdir(parents=True)
        (left / "new" / "pixels.npy").write_bytes(b"partial")
        for path in (left / "new" / "pixels.npy", left / "new", left):
            time = path.stat().st_mtime - age
            os.utime(path, (time, time))
    cache, _ = prepare(dataset_of(CONTENTS), SMALL, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"listings", cache.key, f"{atomic.PARTIAL}new"}


def test_too_little_room_is_told_before_anything_is_decoded(tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 5000})
    monkeypatch.setattr("vitrial.data.cache.making.shutil.disk_usage", lambda path: usage)
    dataset = dataset_of(CONTENTS)
    with pytest.raises(VitrialError, match="are free: make room"):
        prepare(dataset, SMALL, tmp_path)
    assert dataset.reader.reads == 0


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(VitrialError, match="cannot be written"):
        prepare(dataset_of(CONTENTS), SMALL, tmp_path / "file")


def test_the_place_is_taken_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("VITRIAL_CACHE", str(tmp_path / "there"))
    cache, _ = prepare(dataset_of({"a": png(0)}), SMALL)
    assert cache.path.parent == tmp_path / "there"


def read_in_child(cache):
    return cache.read(np.arange(12)).sum()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_and_threads_share_a_cache(twelve, method):
    expected = twelve.read(np.arange(12)).sum()
    assert pickle.loads(pickle.dumps(twelve)).read(np.arange(12)).sum() == expected
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(read_in_child, [twelve] * 50)) == {expected}
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert set(pool.map(read_in_child, [twelve] * 4)) == {expected}


@pytest.mark.skipif(not STATM.exists(), reason="memory is read from /proc")
def test_what_was_read_does_not_stay_in_memory(tmp_path):
    def resident():
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    big = Image(resize=512)
    cache, _ = prepare(dataset_of({f"{i}.png": png(i % 4) for i in range(128)}), big, tmp_path)
    cache.read([0, 1])
    before = resident()
    for row in range(128):
        cache.read([row])
    assert np.prod(cache.shape) == 96 * 2**20
    assert resident() - before < 16 * 2**20
