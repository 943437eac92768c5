"""Which Host headers are a server's own: a name that is made to point at it is not."""

import socket

import pytest

from vitrial.web.addresses import is_own

LOCAL = ["127.0.0.1", "127.0.0.1:8572", "localhost", "LOCALHOST:8572", "[::1]", "[::1]:8572"]
FOREIGN = [
    "",
    "evil.example",
    "evil.example:8572",
    "127.0.0.1.evil.example",
    "localhost.evil.example:8572",
    "evil.example:127.0.0.1",
    "127.0.0.1@evil.example",
    "127.0.0.1:8572:evil",
    "localhost\\.evil.example",
    "localhost, evil.example",
    "[::1].evil.example",
    "0.0.0.0:8572",
    "2130706433",
    "192.168.1.7:8572",
]


@pytest.mark.parametrize("header", LOCAL)
def test_on_loopback_its_names_are_its_own(header):
    assert is_own(header, "127.0.0.1")


@pytest.mark.parametrize("header", FOREIGN)
def test_on_loopback_every_other_name_is_foreign(header):
    assert not is_own(header, "127.0.0.1")


def test_a_name_that_was_asked_for_is_its_own():
    assert is_own("10.0.0.5:8572", "10.0.0.5")
    assert is_own("workstation:8572", "Workstation")
    assert not is_own("10.0.0.6:8572", "10.0.0.5")


@pytest.mark.parametrize("everywhere", ["0.0.0.0", "::"])
def test_on_all_addresses_any_address_and_the_machines_name_are_its_own(everywhere):
    for header in ("10.0.0.5:8572", "[fe80::1]:8572", f"{socket.gethostname()}:8572", *LOCAL):
        assert is_own(header, everywhere), header
    assert not is_own("evil.example:8572", everywhere)
