"""The wire's dotted names as attribute paths: `session.input_audio_buffer.append(clip)`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from realtime_nb.audio import AudioClip
from realtime_nb.errors import ConfigurationError, LocalProtocolError
from realtime_nb.protocol import client_events as ce
from realtime_nb.protocol import server_events as se
from realtime_nb.protocol.items import InputItem, InputText, Item, Message
from realtime_nb.protocol.response import Response, ResponseOptions

from .owner_loop import on_owner_loop

if TYPE_CHECKING:
    from .owner import SessionOwner
    from .speech_input import SpeechInput

Audio = AudioClip | npt.NDArray[np.int16] | bytes
APPEND_BYTES = 48_000


class _Namespace:
    def __init__(self, owner: SessionOwner) -> None:
        self._owner = owner

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that owns the session."""
        return self._owner.loop


class SessionNamespace(_Namespace):
    """Calls of `session.*`."""

    @on_owner_loop
    async def update(self, /, **settings: Any) -> dict[str, Any]:
        """Send `session.update` and return the whole session that the server answers with.

        Args:
            settings: top-level keys of the session object, for example `instructions="…"`,
                `audio={"output": {"voice": "coral"}}`. Absent keys stay, None clears.

        Raises:
            ServerRejected: the server refused; nothing was changed.
        """
        kind = self._owner.protocol.config.type
        event = ce.SessionUpdate(session={"type": kind, **settings})
        answer = await self._owner.request(event, lambda event: isinstance(event, se.SessionUpdated))
        assert isinstance(answer, se.SessionUpdated)
        return answer.session


class InputAudioBufferNamespace(_Namespace):
    """Calls of `input_audio_buffer.*`."""

    def __init__(self, owner: SessionOwner, speech: SpeechInput) -> None:
        super().__init__(owner)
        self._speech = speech

    @on_owner_loop
    async def append(self, audio: Audio) -> None:
        """Append audio at once (the server has no answer to this).

        Args:
            audio: an `AudioClip` of any rate, an int16 array (n_samples,) at 24 kHz mono, or its bytes.

        Raises:
            LocalProtocolError: more is waiting than the network carries; nothing of the rest was sent.
        """
        pcm16 = _pcm16(audio)
        for position in range(0, len(pcm16), APPEND_BYTES):
            self._speech.send(pcm16[position : position + APPEND_BYTES])
            await asyncio.sleep(0)

    @on_owner_loop
    async def commit(self) -> str:
        """Make a user item of what was appended and return its id.

        Raises:
            LocalProtocolError, ServerRejected: less than 100 ms of audio.
        """
        answer = await self._owner.request(
            ce.InputAudioBufferCommit(), lambda event: isinstance(event, se.InputAudioBufferCommitted)
        )
        assert isinstance(answer, se.InputAudioBufferCommitted)
        return answer.item_id

    @on_owner_loop
    async def clear(self) -> None:
        """Throw away what was appended."""
        self._speech.clear()


class ItemNamespace(_Namespace):
    """Calls of `conversation.item.*`."""

    @on_owner_loop
    async def create(self, item: Item | dict[str, Any] | str, *, previous_item_id: str | None = None) -> Item:
        """Insert an item and return it as the server has it.

        Args:
            item: an item, its wire form as a dict, or a text that the user says.
            previous_item_id: "root" puts it first, None last.

        Raises:
            ConfigurationError: the dict is not an item.
            ServerRejected: the server refused it.
        """
        made = as_item(item)
        if not made.id:
            made.id = self._owner.protocol.ids.new("item")
        event = ce.ConversationItemCreate(item=made)
        if previous_item_id is not None:
            event.previous_item_id = previous_item_id

        def answers(event: object) -> bool:
            named = isinstance(event, se.ConversationItemAdded | se.ConversationItemCreated | se.ConversationItemDone)
            return named and getattr(event, "item").id == made.id  # noqa: B009

        answer = await self._owner.request(event, answers)
        return answer.item  # type: ignore[attr-defined]

    @on_owner_loop
    async def retrieve(self, item_id: str) -> Item:
        """Return an item as the server has it, audio included."""
        answer = await self._owner.request(
            ce.ConversationItemRetrieve(item_id=item_id),
            lambda event: isinstance(event, se.ConversationItemRetrieved) and event.item.id == item_id,
        )
        assert isinstance(answer, se.ConversationItemRetrieved)
        return answer.item

    @on_owner_loop
    async def delete(self, item_id: str) -> None:
        """Delete an item."""
        await self._owner.request(
            ce.ConversationItemDelete(item_id=item_id),
            lambda event: isinstance(event, se.ConversationItemDeleted) and event.item_id == item_id,
        )

    @on_owner_loop
    async def truncate(self, item_id: str, *, audio_end_ms: int, content_index: int = 0) -> None:
        """Cut an assistant item at `audio_end_ms`, at most what was received."""
        await self._owner.request(
            ce.ConversationItemTruncate(item_id=item_id, content_index=content_index, audio_end_ms=audio_end_ms),
            lambda event: isinstance(event, se.ConversationItemTruncated) and event.item_id == item_id,
        )


class ConversationNamespace(_Namespace):
    """Calls of `conversation.*`."""

    def __init__(self, owner: SessionOwner) -> None:
        super().__init__(owner)
        self.item = ItemNamespace(owner)

    @property
    def items(self) -> list[Item]:
        """The conversation as this end knows it, in order."""
        return list(self._owner.protocol.conversation)


class ResponseNamespace(_Namespace):
    """Calls of `response.*`."""

    @on_owner_loop
    async def create(self, /, **options: Any) -> Response:
        """Ask for a response and return it once the server created it (it goes on being generated).

        Args:
            options: keys of `response.create.response`: `instructions`, `output_modalities`, `conversation="none"`, …

        Raises:
            LocalProtocolError, ServerRejected: refused, for example while another response is active.
            ConfigurationError: an option is not one.
        """
        event = ce.ResponseCreate()
        if options:
            try:
                event.response = msgspec.convert(options, ResponseOptions)
            except msgspec.ValidationError as problem:
                raise ConfigurationError(f"response.create does not take this: {problem}.") from problem
        known = set(self._owner.protocol.phases)
        answer = await self._owner.request(
            event, lambda event: isinstance(event, se.ResponseCreated) and event.response.id not in known
        )
        assert isinstance(answer, se.ResponseCreated)
        return answer.response

    @on_owner_loop
    async def cancel(self, response_id: str | None = None) -> None:
        """Cancel a response, the default conversation's when no id is given.

        A cancel before the server created the response is remembered and sent when it does.

        Raises:
            LocalProtocolError: nothing is being generated.
        """
        self._owner.send(ce.ResponseCancel(response_id=response_id) if response_id else ce.ResponseCancel())


def as_item(item: Item | dict[str, Any] | str) -> Item:
    """Return an item of its wire form or of a text that the user says."""
    if isinstance(item, str):
        return Message(role="user", content=[InputText(text=item)])
    if isinstance(item, dict):
        try:
            made = msgspec.convert(item, InputItem)
        except msgspec.ValidationError as problem:
            raise ConfigurationError(f"This is not a conversation item: {problem}.") from problem
        return made
    return item


def _pcm16(audio: Audio) -> bytes:
    if isinstance(audio, AudioClip):
        return audio.resampled(24_000).samples.astype("<i2").tobytes()
    if isinstance(audio, np.ndarray):
        if audio.dtype != np.int16 or audio.ndim != 1:
            raise LocalProtocolError(
                f"An array of {audio.dtype} with shape {audio.shape} is not mono PCM16.",
                what_now="Give int16 of shape (n_samples,) at 24 kHz, or an AudioClip.",
            )
        return audio.astype("<i2").tobytes()
    return audio


__all__ = [
    "ConversationNamespace",
    "InputAudioBufferNamespace",
    "ItemNamespace",
    "ResponseNamespace",
    "SessionNamespace",
    "as_item",
]
