"""Finds engines by name.

Built in are `offline` and `scripted`; a package adds its own through the entry-point group `realtime_nb.engines`, each
entry a function `(*, seed: int, **options) -> EngineSet`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

import msgspec

from realtime_nb.engines.base import ChatModel, EngineSet
from realtime_nb.errors import ConfigurationError, MissingExtra

if TYPE_CHECKING:
    from realtime_nb.engines.delayed import DelayProfile

ENTRY_POINT_GROUP = "realtime_nb.engines"

Factory = Callable[..., EngineSet]


def create(
    name: str = "offline",
    *,
    chat: str | ChatModel | None = None,
    chat_api_key: str | None = None,
    seed: int = 0,
    **options: Any,
) -> EngineSet:
    """Return the engines called `name`, not started.

    Args:
        name: one of `available()`; with "+hosted-fast" or another of `delayed.PROFILES` behind it, its stages take as
            long as published measurements say of hosted ones, and its label says that this is simulated.
        chat: what replaces the dialogue brain: a chat model, the base URL of an OpenAI-compatible server
            ("http://localhost:11434/v1", or "openai-compatible:http://…/v1#model" to name the model), or None.
        chat_api_key: the key for that server, if it wants one.
        seed: makes an engine's choices repeatable.
        options: passed to the engine's factory.

    Raises:
        ConfigurationError: no such engine, or an option that it does not take.
        MissingExtra: the engine needs a package that is not installed.
        EngineUnavailable: the engine cannot work on this machine.
    """
    name, plus, delays = name.partition("+")
    profile = _delay_profile(delays) if plus else None
    factory = _factory(name)
    _check_options(name, factory, options)
    engines = _call(name, factory, seed=seed, **options)
    if chat is not None:
        engines = with_chat(engines, chat, api_key=chat_api_key)
    return engines if profile is None else _delayed(engines, profile, seed)


def with_chat(engines: EngineSet, chat: str | ChatModel, *, api_key: str | None = None) -> EngineSet:
    """Return `engines` with another chat model in the brain's place; the label says so. See `create`."""
    model = chat_model(chat, api_key=api_key) if isinstance(chat, str) else chat
    parts = [engines.transcriber.capabilities.name, model.capabilities.name, engines.synthesizer.capabilities.name]
    return msgspec.structs.replace(engines, chat=model, label=" · ".join(parts))


def chat_model(address: str, *, api_key: str | None = None) -> ChatModel:
    """Return the chat model at `address`, for example "http://localhost:11434/v1#llama3"; see `create`."""
    url, _, model = address.removeprefix("openai-compatible:").partition("#")
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"{address!r} is not the address of a chat model.",
            what_now="Give a base URL such as http://localhost:11434/v1, with #model after it to choose the model.",
        )
    from realtime_nb.engines import openai_compatible

    return openai_compatible.create(url, model=model or None, api_key=api_key)


def available() -> tuple[str, ...]:
    """Return the names that `create` takes, built-in ones first."""
    return tuple(dict.fromkeys([*_BUILT_IN, *sorted(point.name for point in _installed())]))


def _factory(name: str) -> Factory:
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    for point in _installed():
        if point.name == name:
            return _load(point)
    raise ConfigurationError(f"There is no engine {name!r}.", what_now=f"Available here: {', '.join(available())}.")


def _delay_profile(name: str) -> DelayProfile:
    from realtime_nb.engines.delayed import delay_profile

    return delay_profile(name)


def _delayed(engines: EngineSet, profile: DelayProfile, seed: int) -> EngineSet:
    from realtime_nb.engines.delayed import delayed

    return delayed(engines, profile, seed=seed)


def _installed() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=ENTRY_POINT_GROUP))


def _load(point: EntryPoint) -> Factory:
    try:
        factory: Factory = point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"The engine {point.name!r} ({point.value}) cannot be loaded: {error}.",
            what_now="Repair or remove the package that brings it.",
        ) from error
    return factory


def _check_options(name: str, factory: Factory, options: dict[str, Any]) -> None:
    parameters = inspect.signature(factory).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters]
    unknown = [option for option in options if option not in known]
    if unknown:
        takes = ", ".join(option for option in known if option != "seed") or "none"
        raise ConfigurationError(
            f"The engine {name!r} has no option {', '.join(unknown)}.", what_now=f"Its options: {takes}."
        )


def _call(name: str, factory: Factory, **options: Any) -> EngineSet:
    try:
        return factory(**options)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "realtime_nb":
            raise
        raise MissingExtra(f"The engine {name!r} needs {error.name}, which", extra="embedded") from error


def _offline(*, seed: int = 0) -> EngineSet:
    from realtime_nb.engines import brain, noise_suppression, pocketsphinx_engine, vad, voices

    transcriber, chat, synthesizer = pocketsphinx_engine.create(), brain.create(seed=seed), voices.create()
    parts = (transcriber.capabilities.name, chat.capabilities.name, synthesizer.capabilities.name)
    return EngineSet(
        name="offline",
        model="realtime-nb-offline",
        label=" · ".join(parts),
        vad=vad.create,
        transcriber=transcriber,
        chat=chat,
        synthesizer=synthesizer,
        noise_suppressor=noise_suppression.factory(),
    )


def _scripted(**options: Any) -> EngineSet:
    from realtime_nb.engines import scripted

    _check_options("scripted", scripted.create, options)
    return scripted.create(**options)


_BUILT_IN: dict[str, Factory] = {"offline": _offline, "scripted": _scripted}
