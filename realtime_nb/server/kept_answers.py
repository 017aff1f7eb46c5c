"""Spoken answers that later requests may refer to by id."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from realtime_nb.errors import RemoteProtocolError

KEPT_S = 3600
"""How long an answer can be referred to."""
MAX_KEPT = 1_000
"""Then the oldest goes."""


class KeptAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was said.

    Attributes:
        transcript: its words.
        audio_ms: how long it was.
        expires_at: Unix time, seconds.
    """

    transcript: str
    audio_ms: float
    expires_at: int


class KeptAnswers:
    """The spoken answers of one server; their words only, no audio.

    Args:
        clock: Unix time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._answers: dict[str, KeptAnswer] = {}

    def keep(self, answer_id: str, *, transcript: str, audio_ms: float) -> int:
        """Keep an answer and return when it expires."""
        expires_at = int(self._clock()) + KEPT_S
        self._answers[answer_id] = KeptAnswer(transcript=transcript, audio_ms=audio_ms, expires_at=expires_at)
        while len(self._answers) > MAX_KEPT:
            del self._answers[next(iter(self._answers))]
        return expires_at

    def get(self, answer_id: str, *, param: str) -> KeptAnswer:
        """Return an answer.

        Raises:
            RemoteProtocolError: there is none of this id, or it has expired; `param` names the field.
        """
        answer = self._answers.get(answer_id)
        if answer is None or answer.expires_at <= self._clock():
            raise RemoteProtocolError(
                f"Audio response '{answer_id[:100]}' not found: it was never given here or has expired. "
                "Send its transcript as 'content' instead.",
                code="audio_not_found",
                param=param,
            )
        return answer
