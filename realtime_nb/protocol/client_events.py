"""The eleven events that a client may send, one struct each. Unknown fields are refused, as on the service."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from .items import Item
from .response import ResponseOptions

MAX_EVENT_ID_CHARACTERS = 512
EventId = Annotated[str, Meta(max_length=MAX_EVENT_ID_CHARACTERS)]


class ClientEventBase(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """Base; `event_id` comes back in an error that the event causes."""

    event_id: EventId | UnsetType = UNSET


class SessionUpdate(ClientEventBase, tag="session.update", kw_only=True):
    """Change settings by present keys; `session.type` is mandatory."""

    session: dict[str, Any]


class InputAudioBufferAppend(ClientEventBase, tag="input_audio_buffer.append", kw_only=True):
    """Audio in the session's input format, at most 15 MiB. Has no answer."""

    audio: bytes


class InputAudioBufferCommit(ClientEventBase, tag="input_audio_buffer.commit", kw_only=True):
    """Make a user item of the buffer (at least 100 ms). Creates no response."""


class InputAudioBufferClear(ClientEventBase, tag="input_audio_buffer.clear", kw_only=True):
    """Throw the buffer away."""


class ConversationItemCreate(ClientEventBase, tag="conversation.item.create", kw_only=True):
    """Insert an item after `previous_item_id` ("root" for first, absent for last)."""

    item: Item
    previous_item_id: str | None | UnsetType = UNSET


class ConversationItemRetrieve(ClientEventBase, tag="conversation.item.retrieve", kw_only=True):
    item_id: str


class ConversationItemTruncate(ClientEventBase, tag="conversation.item.truncate", kw_only=True):
    """Cut an assistant item's audio, and its transcript, at what was heard."""

    item_id: str
    content_index: Annotated[int, Meta(ge=0)]
    audio_end_ms: Annotated[int, Meta(ge=0)]


class ConversationItemDelete(ClientEventBase, tag="conversation.item.delete", kw_only=True):
    item_id: str


class ResponseCreate(ClientEventBase, tag="response.create", kw_only=True):
    response: ResponseOptions | None | UnsetType = UNSET


class ResponseCancel(ClientEventBase, tag="response.cancel", kw_only=True):
    response_id: str | None | UnsetType = UNSET


class OutputAudioBufferClear(ClientEventBase, tag="output_audio_buffer.clear", kw_only=True):
    """WebRTC and SIP only; a WebSocket server refuses it."""


ClientEvent = (
    SessionUpdate
    | InputAudioBufferAppend
    | InputAudioBufferCommit
    | InputAudioBufferClear
    | ConversationItemCreate
    | ConversationItemRetrieve
    | ConversationItemTruncate
    | ConversationItemDelete
    | ResponseCreate
    | ResponseCancel
    | OutputAudioBufferClear
)

CLIENT_EVENT_TYPES: dict[str, type[ClientEventBase]] = {
    str(event.__struct_config__.tag): event for event in ClientEventBase.__subclasses__()
}
