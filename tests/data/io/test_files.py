import io
import os
import stat
import struct
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from vitrial.data.io.files import Files
from vitrial.errors import VitrialError


@pytest.fixture
def root(tmp_path):
    """A folder with files, an archive, a nested archive and junk."""
    root = tmp_path / "root"
    (root / "a" / "deep").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "a" / "1.PNG").write_bytes(b"one")
    (root / "a" / "deep" / "2.jpg").write_bytes(b"two")
    (root / "table.csv").write_bytes(b"table")
    (root / ".hidden").write_bytes(b"")
    (root / "a" / "Thumbs.db").write_bytes(b"")
    with zipfile.ZipFile(root / "images.zip", "w") as archive:
        archive.writestr("inner/3.jpg", b"three")
        archive.writestr("__MACOSX/inner/._3.jpg", b"")
        archive.mkdir("hollow")
    return root


def zip_of(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_archives_in_a_folder_are_folders(root):
    files = Files(root)
    assert files.names() == ["a/1.PNG", "a/deep/2.jpg", "images.zip/inner/3.jpg", "table.csv"]
    assert files.names(frozenset({".png", ".jpg"})) == files.names()[:3]
    assert {"empty", "a/deep", "images.zip/hollow", "images.zip/inner"} <= set(files.folders())
    assert files.read("a/deep/2.jpg") == b"two"
    assert files.read("images.zip/inner/3.jpg") == b"three"


def test_an_archive_is_a_root(root):
    files = Files(root / "images.zip")
    assert files.names() == ["inner/3.jpg"]
    assert files.read("inner/3.jpg") == b"three"


def test_stamps_change_with_content(root):
    files = Files(root)
    before = files.stamp("a/1.PNG"), files.stamp("images.zip/inner/3.jpg")
    (root / "a" / "1.PNG").write_bytes(b"1ne")
    zip_of(root / "images.zip", **{"inner/3.jpg": b"thr33"})
    files = Files(root)
    assert before[0] != files.stamp("a/1.PNG")
    assert before[1] != files.stamp("images.zip/inner/3.jpg")


def test_unpacked_files_of_one_size_and_time_have_stamps_of_their_own(root):
    for name in ("x.bmp", "y.bmp"):
        (root / name).write_bytes(name.encode())
        os.utime(root / name, (0, 0))
    assert Files(root).stamp("x.bmp") != Files(root).stamp("y.bmp")


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../secret", "a/../../secret", "C:/secret", "", "images.zip/../../x"]
)
def test_names_do_not_leave_the_root(root, name):
    (root.parent / "secret").write_bytes(b"secret")
    for ask in (Files(root).read, Files(root).stamp):
        with pytest.raises(VitrialError, match="leads out"):
            ask(name)


def test_links_do_not_leave_the_root(root):
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(b"secret")
    (root / "link.png").symlink_to(outside / "secret.png")
    (root / "linked").symlink_to(outside)
    (root / "inside.png").symlink_to(root / "a" / "1.PNG")
    files = Files(root)
    assert files.read("inside.png") == b"one"
    assert {"link.png", "linked"} <= set(files.names())
    for name in ("link.png", "linked", "linked/secret.png"):
        with pytest.raises(VitrialError, match="link out of"):
            files.read(name)


@pytest.mark.parametrize("name", ["../slip.png", "/slip.png", "..\\slip.png", "C:\\slip.png"])
def test_archives_with_names_that_leave_them_are_refused(tmp_path, name):
    with pytest.raises(VitrialError, match="leads out"):
        Files(zip_of(tmp_path / "slip.zip", **{name: b"x"}))


def test_links_in_archives_are_refused(tmp_path):
    info = zipfile.ZipInfo("link.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(VitrialError, match="is a link"):
        Files(tmp_path / "link.zip").read("link.png")


def test_bombs_are_refused(tmp_path):
    files = Files(zip_of(tmp_path / "bomb.zip", bomb=bytes(80 * 2**20), blank=bytes(2**20)))
    with pytest.raises(VitrialError, match="would unpack to 83,886,080 bytes"):
        files.read("bomb")
    assert len(files.read("blank")) == 2**20


def test_an_untrue_size_is_no_way_around(tmp_path):
    path = zip_of(tmp_path / "liar.zip", bomb=bytes(80 * 2**20))
    content = path.read_bytes()
    true, untrue = struct.pack("<I", 80 * 2**20), struct.pack("<I", 10)
    path.write_bytes(content.replace(true, untrue))
    with pytest.raises(OSError, match="damaged"):
        Files(path).read("bomb")


def test_damage_and_encryption_are_told(tmp_path):
    path = zip_of(tmp_path / "damaged.zip", a=bytes(range(256)) * 100)
    content = bytearray(path.read_bytes())
    content[60] ^= 255
    path.write_bytes(content)
    with pytest.raises(OSError, match="damaged"):
        Files(path).read("a")
    with zipfile.ZipFile(tmp_path / "secret.zip", "w") as archive:
        archive.writestr("a", b"a")
        archive.infolist()[0].flag_bits |= 1
    with pytest.raises(VitrialError, match="encrypted"):
        Files(tmp_path / "secret.zip").read("a")


def test_missing_things_are_told(root, tmp_path):
    files = Files(root)
    for name in ("none.png", "a", "a/1.PNG/x", "images.zip/none.png", "images.zip/inner"):
        with pytest.raises(FileNotFoundError):
            files.stamp(name)
        with pytest.raises(OSError, match=r"there is no|is not a file"):
            files.read(name)
    with pytest.raises(VitrialError, match="There is no"):
        Files(tmp_path / "none")
    with pytest.raises(VitrialError, match="neither a folder nor"):
        Files(root / "table.csv")
    (root / "broken.zip").write_bytes(b"no zip")
    with pytest.raises(VitrialError, match=r"broken\.zip"):
        Files(root / "broken.zip")


def test_threads_read_one_archive(tmp_path):
    contents = {f"{i}.bin": os.urandom(5000) for i in range(200)}
    files = Files(zip_of(tmp_path / "many.zip", **contents))
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(files.read, list(contents) * 3)) == list(contents.values()) * 3


def test_names_of_windows_archives_have_slashes(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("cat/1.png", b"1")
    path = tmp_path / "windows.zip"
    path.write_bytes(content.getvalue().replace(b"cat/1.png", b"cat\\1.png"))
    files = Files(path)
    assert files.names() == ["cat/1.png"]
    assert files.read("cat/1.png") == b"1"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_told_unless_they_are_equal(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, content in (("1.png", b"x"), ("1.png", b"y"), ("2.png", b"z"), ("2.png", b"z")):
            archive.writestr(name, content)
        archive.writestr("sub/3.png", b"x")
        archive.writestr("sub\\3.png", b"y")
    files = Files(tmp_path / "a.zip")
    assert files.names() == ["1.png", "2.png", "sub/3.png"]
    assert files.read("2.png") == b"z"
    for name in ("1.png", "sub/3.png"):
        for look in (files.read, files.stamp):
            with pytest.raises(VitrialError, match=f"several different files called '{name}'"):
                look(name)


def test_links_inside_the_root_are_followed_and_links_of_folders_do_not_leave_it(root, tmp_path):
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "1.png").write_bytes(b"secret")
    (root / "inside").mkdir()
    (root / "inside" / "1.png").write_bytes(b"mine")
    (root / "to-inside").symlink_to(root / "inside")
    (root / "to-outside").symlink_to(outside)
    files = Files(root)
    for _ in range(2):  # what is known of a folder serves for its other files
        assert files.read("to-inside/1.png") == b"mine"
        with pytest.raises(VitrialError, match="link out of the data's root"):
            files.read("to-outside/1.png")


def test_a_folder_is_resolved_once_for_all_its_files(root, monkeypatch):
    calls = []
    realpath = os.path.realpath
    monkeypatch.setattr(os.path, "realpath", lambda path, **k: calls.append(path) or realpath(path))
    files = Files(root)
    for i in range(500):
        with pytest.raises(FileNotFoundError):
            files.stamp(f"absent/{i}.png")
    assert len(calls) <= 2, "200,000 missing files would take minutes"
