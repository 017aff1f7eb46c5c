import pytest

from realtime_nb.engines import voices
from realtime_nb.errors import ConfigurationError, EngineUnavailable


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch):
    """Choose which libraries seem to be installed."""
    monkeypatch.delenv(voices.ENVIRONMENT_VARIABLE, raising=False)

    def choose(*names: str) -> None:
        for name, (_, create) in list(voices._ENGINES.items()):
            monkeypatch.setitem(voices._ENGINES, name, (lambda there=name in names: there, create))

    return choose


def test_flite_comes_first_and_espeak_replaces_it(installed):
    installed("flite", "espeak")
    assert voices.create().capabilities.name == "flite"
    installed("espeak")
    assert voices.create().capabilities.name == "espeak-ng"


def test_the_environment_chooses(installed, monkeypatch):
    installed("flite", "espeak")
    monkeypatch.setenv(voices.ENVIRONMENT_VARIABLE, "ESpeak")
    assert voices.create().capabilities.name == "espeak-ng"


def test_neither_says_what_to_install(installed):
    installed()
    with pytest.raises(EngineUnavailable, match=r"libflite1.*realtime-nb\[embedded\]"):
        voices.create()


def test_a_chosen_engine_that_is_missing_is_not_replaced_silently(installed, monkeypatch):
    installed("flite")
    monkeypatch.setenv(voices.ENVIRONMENT_VARIABLE, "espeak")
    with pytest.raises(EngineUnavailable, match="espeak are not installed"):
        voices.create()


def test_a_misspelt_choice_is_an_error(installed, monkeypatch):
    installed("flite")
    monkeypatch.setenv(voices.ENVIRONMENT_VARIABLE, "flight")
    with pytest.raises(ConfigurationError, match="flite or espeak"):
        voices.create()
