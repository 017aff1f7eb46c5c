"""What the server's machine asks of its driver."""

from __future__ import annotations

import msgspec

from .items import Message
from .server_response import ServerResponse
from .session_config import SessionConfig


class AudioAppended(msgspec.Struct, frozen=True):
    """The driver should look for speech in `audio` (wire format)."""

    audio: bytes


class BufferCleared(msgspec.Struct, frozen=True):
    """The driver should forget the utterance it was following."""


class Committed(msgspec.Struct, frozen=True):
    """A user item was made of the buffer; the driver transcribes it."""

    item: Message
    audio: bytes


class SessionChanged(msgspec.Struct, frozen=True):
    """Settings changed; the driver reconfigures detectors.

    Attributes:
        noise_ignored: noise reduction was asked for in vain.
    """

    before: SessionConfig
    after: SessionConfig
    noise_ignored: bool = False


class ResponseRequested(msgspec.Struct, frozen=True):
    """`response.created` was queued; the driver must write this response to an end."""

    response: ServerResponse


class ResponseStopped(msgspec.Struct, frozen=True):
    """This response was cancelled and ended; the driver stops working on it."""

    response: ServerResponse


Action = AudioAppended | BufferCleared | Committed | SessionChanged | ResponseRequested | ResponseStopped
