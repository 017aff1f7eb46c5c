from __future__ import annotations

import pytest

from realtime_nb.errors import ConfigurationError
from realtime_nb.session.endpoint import DEFAULT_HOSTED_MODEL, choose_endpoint

KEY = {"OPENAI_API_KEY": "sk-secret"}


@pytest.mark.parametrize(
    ("url", "environ", "choice", "base_url"),
    [
        ("http://127.0.0.1:9/v1/", {"REALTIME_NB_URL": "http://other/v1", **KEY}, "url", "http://127.0.0.1:9/v1"),
        (None, {"REALTIME_NB_URL": "http://other/v1", **KEY}, "environment", "http://other/v1"),
        (None, KEY, "openai", "https://api.openai.com/v1"),
        (None, {}, "embedded", ""),
    ],
)
def test_the_order_of_choice(url: str | None, environ: dict[str, str], choice: str, base_url: str) -> None:
    endpoint = choose_endpoint(url=url, environ=environ)
    assert (endpoint.choice, endpoint.base_url) == (choice, base_url)


@pytest.mark.parametrize(
    ("base", "address"),
    [
        ("http://h:1/v1", "ws://h:1/v1/realtime?model=m"),
        ("https://h/v1", "wss://h/v1/realtime?model=m"),
        ("ws://h/v1/realtime", "ws://h/v1/realtime?model=m"),
        ("wss://h/v1?deployment=d", "wss://h/v1/realtime?deployment=d&model=m"),
    ],
)
def test_a_base_url_becomes_the_websocket_address(base: str, address: str) -> None:
    assert choose_endpoint(url=base, model="m", environ={}).websocket_url == address


def test_the_model_comes_from_the_argument_then_the_environment_then_the_default() -> None:
    assert choose_endpoint(url="http://h/v1", model="a", environ={"REALTIME_NB_MODEL": "b"}).model == "a"
    assert choose_endpoint(url="http://h/v1", environ={"REALTIME_NB_MODEL": "b"}).model == "b"
    assert choose_endpoint(url="http://h/v1", environ={}).model == DEFAULT_HOSTED_MODEL


def test_a_key_is_sent_and_never_shown() -> None:
    endpoint = choose_endpoint(environ=KEY)
    assert endpoint.headers == {"Authorization": "Bearer sk-secret"}
    assert "sk-secret" not in repr(endpoint) + endpoint.said + endpoint.websocket_url


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://h/v1", "http://", "/v1"])
def test_what_is_no_address_is_refused_in_words(url: str) -> None:
    with pytest.raises(ConfigurationError, match="is not the address of a server"):
        choose_endpoint(url=url, environ={})
