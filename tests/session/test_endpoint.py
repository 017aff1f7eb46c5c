from __future__ import annotations

import pytest

from realtime_nb.errors import AuthenticationFailed, ConfigurationError
from realtime_nb.session.endpoint import DEFAULT_HOSTED_MODEL, choose_endpoint
from realtime_nb.session.opening import open_session
from tests.server.talking import serving

pytestmark = pytest.mark.anyio

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


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://api.openai.com/v1", True),
        ("wss://API.openai.com:443/v1", True),
        ("https://eu.api.openai.com/v1", True),
        ("https://mine.openai.azure.com/openai/v1", True),
        ("http://api.openai.com/v1", False),
        ("https://api.openai.com.example.org/v1", False),
        ("https://notapi.openai.com/v1", False),
        ("https://api.openai.com@example.org/v1", False),
        ("https://example.org/v1?host=api.openai.com", False),
        ("http://127.0.0.1:8000/v1", False),
    ],
)
def test_the_environments_key_goes_to_its_own_service_only(url: str, sent: bool) -> None:
    endpoint = choose_endpoint(url=url, environ=KEY)
    assert (endpoint.api_key, endpoint.key_withheld) == (("sk-secret", False) if sent else ("", True))
    assert ("without OPENAI_API_KEY" in endpoint.said) is not sent
    assert ("give api_key=" in endpoint.key_advice) is not sent


def test_who_names_a_server_or_a_key_means_it() -> None:
    given = choose_endpoint(url="http://h/v1", api_key="mine", environ=KEY)
    assert (given.api_key, given.key_withheld) == ("mine", False)
    environment = choose_endpoint(environ={"REALTIME_NB_URL": "http://h/v1", **KEY})
    assert (environment.api_key, environment.key_withheld) == ("sk-secret", False)
    own = choose_endpoint(environ={"REALTIME_NB_URL": "http://h/v1", "REALTIME_NB_API_KEY": "theirs", **KEY})
    assert own.api_key == "theirs"
    keyless = choose_endpoint(url="http://h/v1", environ={})
    assert (keyless.api_key, keyless.key_withheld, keyless.said) == ("", False, "http://h/v1 (the url you gave)")
    assert "No key was sent" in keyless.key_advice


async def test_a_refusal_says_that_the_key_was_not_sent() -> None:
    async with serving() as server:
        endpoint = choose_endpoint(url=server.url, environ=KEY)
        with pytest.raises(AuthenticationFailed, match="OPENAI_API_KEY was not sent to this host; give api_key="):
            await open_session(endpoint, settings={})
        with pytest.raises(AuthenticationFailed, match="Check OPENAI_API_KEY or api_key="):
            await open_session(choose_endpoint(url=server.url, api_key="wrong"), settings={})


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://h/v1", "http://", "/v1"])
def test_what_is_no_address_is_refused_in_words(url: str) -> None:
    with pytest.raises(ConfigurationError, match="is not the address of a server"):
        choose_endpoint(url=url, environ={})
