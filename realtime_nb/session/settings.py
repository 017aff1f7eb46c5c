"""What `connect` takes, as the `session.update` it becomes."""

from __future__ import annotations

from typing import Any, Literal

from realtime_nb.errors import ConfigurationError

DEFAULT_TRANSCRIPTION_MODEL = "gpt-transcribe"
"""Asked for so that both sides of the transcript appear; `transcription=` changes or stops it."""

TurnDetectionChoice = Literal["server_vad", "semantic_vad", "push_to_talk"]


def session_settings(
    *,
    instructions: str | None = None,
    voice: str | None = None,
    turn_detection: TurnDetectionChoice | dict[str, Any] | None = "server_vad",
    transcription: bool | str | dict[str, Any] = True,
    output_modalities: list[str] | None = None,
    tools: list[dict[str, Any]] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return the settings of a new session as the wire names them.

    Args:
        instructions: what the model should be and do.
        voice: one of the API's preset voices.
        turn_detection: "server_vad", "semantic_vad", a dict of the wire's fields, or "push_to_talk" (None is the same).
        transcription: True for the default recogniser, a model's name, the wire's dict, or False for none.
        output_modalities: ["audio"] or ["text"].
        tools: function tools in the wire's form.
        more: any other key of the session object, as the wire has it; nested dicts are merged.

    Raises:
        ConfigurationError: a value that cannot be meant.
    """
    audio_input: dict[str, Any] = {"turn_detection": _turn_detection(turn_detection)}
    if transcription is not False:
        model = DEFAULT_TRANSCRIPTION_MODEL if transcription is True else transcription
        audio_input["transcription"] = model if isinstance(model, dict) else {"model": model}
    audio: dict[str, Any] = {"input": audio_input}
    if voice is not None:
        audio["output"] = {"voice": voice}
    settings: dict[str, Any] = {"audio": audio}
    for key, value in (("instructions", instructions), ("output_modalities", output_modalities), ("tools", tools)):
        if value is not None:
            settings[key] = value
    return _merged(settings, more)


def _turn_detection(choice: TurnDetectionChoice | dict[str, Any] | None) -> dict[str, Any] | None:
    if choice is None or choice == "push_to_talk":
        return None
    if isinstance(choice, dict):
        return choice
    if choice in ("server_vad", "semantic_vad"):
        return {"type": choice}
    raise ConfigurationError(
        f"turn_detection={choice!r} is not known.",
        what_now='Use "server_vad", "semantic_vad", "push_to_talk", or a dict of the wire\'s fields.',
    )


def _merged(settings: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    merged = dict(settings)
    for key, value in more.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
