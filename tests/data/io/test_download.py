import hashlib
import socket
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from vitrial.data.io.download import download, md5_of
from vitrial.errors import VitrialError

CONTENT = bytes(range(256)) * 20_000
MD5 = hashlib.md5(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT at /file.bin; `server.breaks` requests break off in the middle."""

    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append(asked)
        if self.path != "/file.bin":
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and server.ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        if start:
            span = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
            self.send_header("Content-Range", span)
        self.end_headers()
        end = len(CONTENT)
        if server.breaks:
            server.breaks -= 1
            end = start + (end - start) // 2
        self.wfile.write(CONTENT[start:end])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked, server.breaks, server.ranges = [], 0, True
        server.url = f"http://127.0.0.1:{server.server_port}/file.bin"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def left(folder):
    """Files that are there, less the lock."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_a_file_is_downloaded_once(server, tmp_path):
    path = tmp_path / "new" / "file.bin"
    for _ in range(2):
        download(server.url, path, MD5)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None]
    assert left(path.parent) == ["file.bin"]
    assert md5_of(path) == MD5


@pytest.mark.parametrize("ranges", [True, False])
def test_what_broke_off_is_continued(server, tmp_path, ranges):
    server.breaks, server.ranges = 1, ranges
    path = tmp_path / "file.bin"
    with pytest.raises(VitrialError, match=r"broke off|IncompleteRead") as error:
        download(server.url, path, MD5)
    assert f"download {server.url} and put it at {path}." in str(error.value)
    assert left(tmp_path) == ["file.bin.part"]
    have = (tmp_path / "file.bin.part").stat().st_size
    assert 0 < have < len(CONTENT)
    download(server.url, path, MD5)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={have}-"]
    assert left(tmp_path) == ["file.bin"]


@pytest.mark.parametrize("part", [CONTENT, CONTENT + b"more", b"of another file" * 99])
def test_any_part_that_is_there_ends_well(server, tmp_path, part):
    (tmp_path / "file.bin.part").write_bytes(part)
    download(server.url, tmp_path / "file.bin", MD5)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    # A whole part needs no second download, another one does.
    assert len(server.asked) == (1 if part == CONTENT else 2)


def test_another_content_is_refused(server, tmp_path):
    with pytest.raises(VitrialError, match=f"MD5 is {MD5} and not {'0' * 32}"):
        download(server.url, tmp_path / "file.bin", "0" * 32)
    assert left(tmp_path) == []


def test_no_such_file(server, tmp_path):
    url = server.url.replace("file", "other")
    with pytest.raises(VitrialError, match="answers 404 Not Found") as error:
        download(url, tmp_path / "file.bin", MD5)
    assert url in str(error.value)
    assert left(tmp_path) == []


def test_nobody_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # not listening
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/file.bin"
        path = tmp_path / "file.bin"
        with pytest.raises(VitrialError, match="refused") as error:
            download(url, path, MD5)
    assert f"download {url} and put it at {path}." in str(error.value)


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(VitrialError, match="could not be downloaded"):
        download(server.url, tmp_path / "file" / "file.bin", MD5)


def test_several_at_once_download_once(server, tmp_path):
    path = tmp_path / "file.bin"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: download(server.url, path, MD5), range(4)))
    assert path.read_bytes() == CONTENT
    assert server.asked == [None]
