"""The public surface is a list, and everything on it exists."""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil

import pytest

import realtime_nb
from realtime_nb.errors import RealtimeError

MODULES = sorted(module.name for module in pkgutil.walk_packages(realtime_nb.__path__, "realtime_nb."))


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_every_name_in_all_exists_and_is_listed_once(name: str) -> None:
    module = importlib.import_module(name)
    names = getattr(module, "__all__", [])
    assert len(names) == len(set(names))
    assert [each for each in names if not hasattr(module, each)] == []


def test_the_package_lists_what_it_offers() -> None:
    assert {"connect", "AudioClip"} <= set(realtime_nb.__all__)
    assert set(realtime_nb.__all__) <= set(dir(realtime_nb))
    assert [name for name in realtime_nb.__all__ if getattr(realtime_nb, name, None) is None] == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        realtime_nb.nothing_of_that_name  # noqa: B018


def test_every_error_is_a_realtime_error_with_words() -> None:
    errors = importlib.import_module("realtime_nb.errors")
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(classes) > 10
    for each in classes:
        assert issubclass(each, RealtimeError)
        assert each.__doc__


def test_the_command_exists() -> None:
    (command,) = importlib.metadata.entry_points(group="console_scripts", name="realtime-nb")
    assert callable(command.load())
