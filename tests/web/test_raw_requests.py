"""Requests as no browser writes them, to a real server: nothing but its few pages is reached."""

import re

import pytest

from served import running, spoken
from vitrial.web.serve import serve_app

PATHS = [
    "/../../../../etc/passwd",
    "/..%2f..%2f..%2fetc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/static/../serve.html.j2",
    "/style.css/../../serve.js.bak",
    "/....//....//etc/passwd",
    "/..\\..\\windows\\win.ini",
    "/style.css%00.html",
    "//etc/passwd",
    "/file:///etc/passwd",
    "http://evil.example/",
    "/report/",
    "/runs/",
    "/answer/",
    "/.git/config",
]


@pytest.fixture(scope="module")
def port(panel):
    with running(serve_app(panel, "127.0.0.1")) as port:
        yield port


def status_of(answer):
    return int(re.match(r"HTTP/1\.1 (\d+)", answer)[1])


def asked(port, path="/", host="127.0.0.1", method="GET", more=""):
    lines = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n"
    return spoken(port, lines.encode("latin-1"))


def test_the_page_is_there(port):
    answer = asked(port)
    assert status_of(answer) == 200
    assert "ask the arms" in answer
    assert "server:" not in answer.lower()
    assert asked(port, method="HEAD").endswith("\r\n\r\n")


@pytest.mark.parametrize("path", PATHS)
def test_no_other_path_leads_anywhere(port, path):
    answer = asked(port, path)
    assert status_of(answer) in (400, 404)
    assert "root:" not in answer
    assert "Traceback" not in answer


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:{port}", "", "192.168.0.1"]
)
def test_a_name_that_was_made_to_point_here_is_refused(port, host):
    for path in ("/", "/style.css", "/answer", "/nothing"):
        answer = asked(port, path, host.format(port=port))
        assert status_of(answer) in (400, 421)
        assert "<html" not in answer


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 200_000,
    ],
)
def test_a_request_without_one_host_is_refused(port, request_):
    answer = spoken(port, request_)
    assert not answer or status_of(answer) in (400, 421, 431)
    assert "<html" not in answer


def test_a_body_that_never_comes_ends(port):
    more = f"Origin: http://127.0.0.1:{port}\r\nContent-Length: 1000\r\n"
    answer = asked(port, "/answer", f"127.0.0.1:{port}", "POST", more)
    assert not answer or status_of(answer) == 400
    assert status_of(asked(port)) == 200
