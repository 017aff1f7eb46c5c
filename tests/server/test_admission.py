from __future__ import annotations

import pytest

from realtime_nb.server.admission import Keyring, Refused, admit, is_loopback, offered_key, origin_allowed


@pytest.mark.parametrize("host", ["127.0.0.1", "127.5.0.1", "localhost", "LOCALHOST", "::1", "[::1]"])
def test_loopback_has_many_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "example.org", "localhost.example.org", "::"])
def test_other_hosts_are_not_loopback(host: str) -> None:
    assert not is_loopback(host)


ORIGINS = [
    (None, True),
    ("http://localhost:8888", True),
    ("http://127.0.0.1:8888", True),
    ("https://[::1]", True),
    ("https://evil.example", False),
    ("https://localhost.evil.example", False),
    ("http://127.0.0.1.evil.example", False),
    ("null", False),
    ("http://[bad", False),
    ("file://", False),
]


@pytest.mark.parametrize(("origin", "allowed"), ORIGINS)
def test_on_loopback_only_local_pages_may_come(origin: str | None, allowed: bool) -> None:
    assert origin_allowed(origin, host="127.0.0.1") is allowed


def test_elsewhere_the_key_decides() -> None:
    assert origin_allowed("https://anybody.example", host="0.0.0.0")


def test_keys_come_in_a_header_or_a_subprotocol() -> None:
    assert offered_key({"authorization": "Bearer secret"}, []) == "secret"
    assert offered_key({"authorization": "bearer secret"}, []) == "secret"
    assert offered_key({}, ["realtime", "openai-insecure-api-key.secret"]) == "secret"
    assert offered_key({"authorization": "Basic secret"}, ["realtime"]) is None


@pytest.mark.parametrize("offered", [None, "", "secre", "secret ", "sécret"])
def test_only_the_very_key_is_accepted(offered: str | None) -> None:
    assert not Keyring(key="secret").accepts(offered)
    assert Keyring(key="secret").accepts("secret")


def test_beta_is_refused_as_header_and_as_subprotocol() -> None:
    anybody = Keyring(key=None)
    for headers, offered in (({"openai-beta": "realtime=v1"}, []), ({}, ["realtime", "openai-beta.realtime-v1"])):
        with pytest.raises(Refused) as refused:
            admit(headers, offered, {"model": "m"}, anybody)
        assert (refused.value.close_code, refused.value.problem.code) == (4000, "beta_api_shape_disabled")


def test_the_key_is_checked_first() -> None:
    with pytest.raises(Refused) as refused:
        admit({"openai-beta": "realtime=v1"}, [], {}, Keyring(key="secret"))
    assert refused.value.close_code == 3000
