"""How much audio each item holds, and which words were said by when: what truncation and metering need."""

from __future__ import annotations

import msgspec

from realtime_nb.errors import RemoteProtocolError

from .items import InputAudio, Item, Message, OutputAudio


class SpokenMark(msgspec.Struct, frozen=True):
    """When `audio_end_ms` of an item were heard, its first `characters` were said."""

    audio_end_ms: float
    characters: int


class _Speech(msgspec.Struct):
    marks: list[SpokenMark]
    audio_ms: float
    bytes_per_ms: int


class AudioLedger:
    """Keeps the audio's length of every item of one conversation, and the word marks of assistant items."""

    def __init__(self) -> None:
        self._speech: dict[str, _Speech] = {}
        self._user_audio_ms: dict[str, float] = {}

    @property
    def item_ids(self) -> set[str]:
        """The items that it knows something of."""
        return self._speech.keys() | self._user_audio_ms.keys()

    def note_user_item(self, item: Item, bytes_per_ms: int) -> None:
        """Measure a user item that joined the conversation; other items have nothing to measure."""
        if isinstance(item, Message):
            parts = (part.audio for part in item.content if isinstance(part, InputAudio))
            n_bytes = sum(len(audio) for audio in parts if isinstance(audio, bytes))
            if n_bytes:
                self._user_audio_ms[str(item.id)] = n_bytes / bytes_per_ms

    def note_speech(self, item_id: str, marks: list[SpokenMark], audio_ms: float, bytes_per_ms: int) -> None:
        """Keep what truncation of a spoken item needs; one that was never heard has nothing to truncate."""
        if audio_ms:
            self._speech[item_id] = _Speech(marks, audio_ms, bytes_per_ms)

    def audio_ms(self, item_id: str) -> float:
        """Return how much audio an item holds, 0 when none; after truncation what is left."""
        speech = self._speech.get(item_id)
        return speech.audio_ms if speech is not None else self._user_audio_ms.get(item_id, 0.0)

    def forget(self, item_id: str) -> None:
        """Drop a deleted item."""
        self._speech.pop(item_id, None)
        self._user_audio_ms.pop(item_id, None)

    def truncate(self, item: Item, content_index: int, audio_end_ms: int) -> None:
        """Cut an assistant item's audio, and its transcript to the words that were heard whole.

        Raises:
            RemoteProtocolError: it is no spoken item, or is shorter than that; nothing changed.
        """
        speech = self._speech.get(str(item.id))
        part = item.content[0] if isinstance(item, Message) and item.content else None
        if speech is None or not isinstance(part, OutputAudio) or content_index != 0:
            raise RemoteProtocolError(
                "Only model output audio messages can be truncated.", code="unsupported_content_type", param="item_id"
            )
        if audio_end_ms > speech.audio_ms:
            raise RemoteProtocolError(
                f"Audio content of {speech.audio_ms:.0f}ms is already shorter than {audio_end_ms}ms.",
                code="invalid_value",
                param="audio_end_ms",
            )
        said = max((mark.characters for mark in speech.marks if mark.audio_end_ms <= audio_end_ms), default=0)
        part.transcript = (part.transcript or "")[:said].rstrip()
        if isinstance(part.audio, bytes):
            part.audio = part.audio[: audio_end_ms * speech.bytes_per_ms]
        speech.audio_ms = audio_end_ms
