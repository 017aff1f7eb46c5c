from __future__ import annotations

from importlib.metadata import EntryPoint

import numpy as np
import pytest

from realtime_nb.engines import registry, scripted
from realtime_nb.engines.openai_compatible import OpenAICompatibleChat
from realtime_nb.engines.scripted import ScriptedChat, ScriptedDelays
from realtime_nb.errors import ConfigurationError, MissingExtra


def test_scripted_by_name_with_options():
    engines = registry.create("scripted", seed=3, texts=["hi"], delays=ScriptedDelays(first_token_ms=5))
    assert engines.name == "scripted"
    assert engines.chat.delays.first_token_ms == 5


@pytest.mark.parametrize("address", ["http://localhost:1/v1#tiny", "openai-compatible:http://localhost:1/v1#tiny"])
def test_a_chat_address_replaces_the_brain(address):
    engines = registry.create("scripted", chat=address)
    assert isinstance(engines.chat, OpenAICompatibleChat)
    assert (engines.chat.base_url, engines.chat.model) == ("http://localhost:1/v1", "tiny")
    assert engines.label == "scripted-transcriber · tiny · scripted-tones"


def test_a_chat_model_replaces_the_brain():
    chat = ScriptedChat(lambda _: "no")
    assert registry.create("scripted", chat=chat).chat is chat


def test_an_address_that_is_none_is_refused():
    with pytest.raises(ConfigurationError, match="gpt-9") as caught:
        registry.create("scripted", chat="gpt-9")
    assert "http://" in caught.value.what_now


def test_an_unknown_engine_lists_the_known_ones():
    with pytest.raises(ConfigurationError, match="offlien") as caught:
        registry.create("offlien")
    assert "offline, scripted" in caught.value.what_now


@pytest.mark.parametrize("name", ["scripted", "offline"])
def test_an_unknown_option_is_refused(name):
    with pytest.raises(ConfigurationError, match="colour"):
        registry.create(name, colour="red")


def from_a_package(*, seed: int = 0, loud: bool = False):
    return scripted.create(seed=seed, texts=["LOUD" if loud else "quiet"])


def lacks_a_package(*, seed: int = 0):
    raise ModuleNotFoundError("No module named 'rare'", name="rare")


@pytest.fixture
def installed(monkeypatch):
    points = [
        EntryPoint("mine", f"{__name__}:from_a_package", registry.ENTRY_POINT_GROUP),
        EntryPoint("lacking", f"{__name__}:lacks_a_package", registry.ENTRY_POINT_GROUP),
        EntryPoint("broken", "no_such_module:create", registry.ENTRY_POINT_GROUP),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda *, group: points)


def test_engines_of_other_packages_are_found(installed):
    assert registry.available() == ("offline", "scripted", "broken", "lacking", "mine")
    assert registry.create("mine", loud=True).transcriber.take().text == "LOUD"


def test_a_broken_entry_point_is_named(installed):
    with pytest.raises(ConfigurationError, match=r"no_such_module:create"):
        registry.create("broken")


def test_a_missing_package_names_the_extra(installed):
    with pytest.raises(MissingExtra, match="rare") as caught:
        registry.create("lacking")
    assert caught.value.extra == "embedded"


def test_the_offline_label_names_its_parts():
    engines = registry.create("offline", seed=2)
    assert engines.label.split(" · ")[1] == "matcher"
    assert engines.label.startswith("pocketsphinx")
    assert 0.0 <= engines.vad().probability(np.zeros(512, np.int16)) <= 1.0
