"""The page of a study while it runs: before, during and after its runs, and who may look at it."""

import base64
import hashlib
import re
import shutil
from contextlib import contextmanager
from urllib.request import urlopen

import pytest
from starlette.testclient import TestClient

from served import HOST, running, spoken
from tiny_study import invoke
from vitrial.layout import RUNS
from vitrial.spelling import duration
from vitrial.store.registration import register
from vitrial.store.run_folder import RunFolder
from vitrial.store.study import load_study
from vitrial.web.server import address, listen
from vitrial.web.watch import Watched, watch_app, watching


def client_of(path):
    return TestClient(watch_app(path, HOST), base_url=f"http://{HOST}:8571")


def built(client):
    """What is said of a study once its report is there."""
    while not (state := client.get("/live").json())["version"]:
        pass
    return state


@pytest.fixture
def study(odd_study, tmp_path):
    """A copy of a finished study."""
    shutil.copytree(odd_study.path, tmp_path / "study")
    return load_study(tmp_path / "study")


def undo(study, *places):
    """Take runs back to what they were when the study was laid down."""
    for place in places:
        folder = study.path / study.facts.stages[place].folder
        for path in folder.iterdir():
            if path.name != "stage.json":
                path.unlink()
        yield RunFolder(folder)


def words(html):
    return " ".join(re.sub("<[^>]+>", " ", html).split())


def test_a_study_that_has_ended_shows_its_report(study):
    client = client_of(study.path)
    assert "appears here as soon as it is built" in client.get("/").text
    before = client.get("/live").json()
    assert before["version"] == ""
    assert "2 of 2 stages done" in before["progress"]
    assert "has ended" in before["progress"]
    version = built(client)["version"]
    page = client.get("/").text
    assert f'data-version="{version}"' in page
    assert "<h2>Verdict" in page or 'id="verdict"' in page
    assert page.count('id="live"') == 1
    assert client.head("/").status_code == 200


def test_before_the_first_run_is_done_there_is_a_report_too(study):
    list(undo(study, 0, 1))
    client = client_of(study.path)
    said = words(client.get("/live").json()["progress"])
    assert said == (
        "0 of 2 stages done , 2 left. No process is at work on it: vitrial run goes on."
    )
    assert built(client)
    assert "Protocol" in client.get("/").text


def test_a_run_that_is_under_way_and_one_that_failed_are_shown(study):
    history = RunFolder(study.path / study.facts.stages[1].folder).result().history
    first, second = undo(study, 0, 1)
    first.fail("The loss is not <finite>.")
    client = client_of(study.path)
    with second.claim():
        assert "known after the first epoch" in client.get("/live").json()["progress"]
        second.write_metrics(history)
        progress = client.get("/live").json()["progress"]
    assert "0 of 2 stages done" in progress
    assert "1 failed" in words(progress)
    assert "The loss is not &lt;finite&gt;." in progress
    assert "test_vit / random, repetition 1: epoch 1 of at most 1, validation" in words(progress)
    assert "Left: less than a minute." in words(progress)


def test_the_report_is_renewed_only_when_something_has_changed(study, monkeypatch):
    monkeypatch.setattr("vitrial.web.watch.REST", 0)
    watched = Watched(study.path)
    watched.renew()
    first, page = watched.version, watched.page()
    monkeypatch.setattr("vitrial.web.watch.build_page", None)  # is not called again
    watched.renew()
    monkeypatch.undo()
    assert (watched.version, watched.page()) == (first, page)
    list(undo(study, 0))
    monkeypatch.setattr("vitrial.web.watch.REST", 0)
    watched.renew()
    assert watched.version != first
    assert watched.page() != page


def test_a_page_that_took_long_to_build_is_kept_for_a_while(study):
    watched = Watched(study.path)
    watched.renew()
    first = watched.version
    list(undo(study, 0))
    watched.renew()
    assert watched.version == first


def test_a_study_whose_data_are_being_prepared_is_waited_for(study, tmp_path):
    for path in (tmp_path / "not-there-yet", tmp_path / "registered"):
        if path.name == "registered":
            register(path, study.protocol)
        client = client_of(path)
        assert "being laid down" in client.get("/live").json()["progress"]
        assert client.get("/live").json()["version"] == ""
        assert client.get("/").status_code == 200


def test_damage_is_said(study):
    (study.path / "study.json").write_text("{")
    progress = client_of(study.path).get("/live").json()["progress"]
    assert "study.json is damaged: `vitrial run" in progress


def test_scripts_of_the_page_itself_are_allowed_by_their_content_and_no_others(study):
    client = client_of(study.path)
    built(client)
    response = client.get("/")
    policy = dict(
        part.split(None, 1) for part in response.headers["content-security-policy"].split("; ")
    )
    inline = re.findall(r"<script>(.*?)</script>", response.text, re.DOTALL)
    assert inline
    hashes = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in inline]
    assert policy["script-src"].split() == ["'self'", *(f"'sha256-{one}'" for one in hashes)]
    assert policy["default-src"] == "'none'"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_sent(study, method):
    client = client_of(study.path)
    for path in ("/", "/live", "/watch.js"):
        assert client.request(method, path).status_code == 403
        own = {"origin": f"http://{HOST}:8571"}
        assert client.request(method, path, headers=own).status_code == 405


@pytest.mark.parametrize(
    "path", ["/study.json", "/../study.json", "/%2e%2e/study.json", f"/{RUNS}/", "/report/", "//"]
)
def test_no_file_of_the_study_is_reached(study, path):
    with running(watch_app(study.path, HOST)) as port:
        request = f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n"
        assert spoken(port, request.encode()).startswith("HTTP/1.1 404")
        request = f"GET / HTTP/1.1\r\nHost: evil.example:{port}\r\nConnection: close\r\n\r\n"
        assert spoken(port, request.encode()).startswith("HTTP/1.1 421")


def test_looking_changes_nothing(study):
    def there():
        return {path: path.stat().st_mtime_ns for path in study.path.rglob("*")}

    list(undo(study, 0))
    before = there()
    client = client_of(study.path)
    for path in ("/", "/live", "/"):
        assert client.get(path).status_code == 200
    assert there() == before


def test_run_says_where_its_page_is_and_serves_it_meanwhile(study, pixel_caches, monkeypatch):
    served = []

    @contextmanager
    def noted(path, listening):
        served.append((path, address(listening)))
        yield

    monkeypatch.setattr("vitrial.web.watch.watching", noted)
    result = invoke("run", study.path, "--watch", "--cache", pixel_caches)
    assert result.exit_code == 0, result.output
    ((path, url),) = served
    assert path == study.path
    assert f"Its report while it runs: {url}" in result.output


@pytest.mark.slow
def test_a_page_is_served_beside_a_run_as_long_as_that_lasts(study):
    with listen(HOST, 0, 0) as listening:
        port = listening.getsockname()[1]
        with watching(study.path, listening), urlopen(f"http://{HOST}:{port}/live") as answer:
            assert b"2 of 2 stages done" in answer.read()
    with pytest.raises(OSError, match="refused"):
        urlopen(f"http://{HOST}:{port}/live")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "less than a minute"),
        (59, "less than a minute"),
        (60, "about 1 minute"),
        (61 * 60, "about 61 minutes"),
        (2.2 * 3600, "about 2 hours"),
        (40 * 3600, "about 2 days"),
    ],
)
def test_times_are_said_as_people_say_them(seconds, said):
    assert duration(seconds) == said
