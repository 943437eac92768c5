"""Listening: which port, and what is said where nothing can be served."""

import socket

import pytest

from served import HOST
from tiny_study import invoke, sentence
from vitrial.errors import VitrialError
from vitrial.web.server import address, listen


def port_of(listening):
    return listening.getsockname()[1]


def test_a_taken_port_is_refused_if_it_was_named_and_replaced_if_not():
    with listen(HOST, 0, 0) as first:
        taken = port_of(first)
        with pytest.raises(VitrialError, match=f"port {taken}: another program listens there"):
            listen(HOST, taken, 0)
        with listen(HOST, None, taken) as second:
            assert port_of(second) not in (0, taken)


def test_an_address_is_written_as_a_browser_takes_it():
    with listen(HOST, 0, 0) as listening:
        assert address(listening) == f"http://127.0.0.1:{port_of(listening)}/"
    try:
        listening = listen("::1", 0, 0)
    except VitrialError:
        pytest.skip("there is no IPv6 here")
    with listening:
        assert address(listening) == f"http://[::1]:{port_of(listening)}/"


def test_of_all_addresses_the_machines_name_is_shown():
    with listen("0.0.0.0", 0, 0) as listening:
        assert address(listening) == f"http://{socket.gethostname()}:{port_of(listening)}/"


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(VitrialError, match=r"Nothing can be served at 192\.0\.2\.1, port 0: "):
        listen("192.0.2.1", 0, 0)


@pytest.mark.parametrize("command", ["serve", "watch"])
def test_what_is_missing_is_said_in_a_sentence(command, tmp_path, monkeypatch):
    assert f"{tmp_path} holds no study" in sentence(invoke(command, tmp_path))
    monkeypatch.setattr("vitrial.web.server.find_spec", lambda name: None)
    assert "Serving pages needs: pip install 'vitrial[serve]'" in sentence(
        invoke(command, tmp_path)
    )
