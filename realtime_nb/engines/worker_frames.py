"""The bytes between a parent and its worker.

A frame is a 4-byte little-endian length, then a msgpack array `[kind, id, name, value]`.

| direction | kind | id | name | value |
|---|---|---|---|---|
| to the worker | `REQUEST`, `STREAM` | call | method | payload |
| to the worker | `NOTIFY` | 0 | method | payload |
| to the worker | `CANCEL` | call | "" | None |
| to the worker | `CREDIT` | call | "" | items |
| to the parent | `READY` | 0 | "" | None |
| to the parent | `RESULT`, `ITEM` | call | "" | value |
| to the parent | `END` | call | "" | None |
| to the parent | `FAILED` | call, 0 at start-up | error class | `[message, what_now]` |
| to the parent | `PUSH` | channel | "" | value |
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Any

import msgspec

LENGTH = struct.Struct("<I")
MAX_FRAME_BYTES = 32 * 1024 * 1024

_encoder = msgspec.msgpack.Encoder()


class Kind(IntEnum):
    """What a frame is."""

    REQUEST = 1
    NOTIFY = 2
    STREAM = 3
    CANCEL = 4
    CREDIT = 5
    READY = 10
    RESULT = 11
    FAILED = 12
    ITEM = 13
    END = 14
    PUSH = 15


class Frame(msgspec.Struct, array_like=True, frozen=True):
    """One message."""

    kind: int
    call_id: int = 0
    name: str = ""
    value: Any = None


_decoder = msgspec.msgpack.Decoder(Frame)


def encode(frame: Frame) -> bytes:
    """Return the frame's bytes, length included. Raises `ValueError` beyond 32 MiB."""
    body = _encoder.encode(frame)
    if len(body) > MAX_FRAME_BYTES:
        raise ValueError(f"a worker frame of {len(body):,} bytes is over the limit of {MAX_FRAME_BYTES:,}")
    return LENGTH.pack(len(body)) + body


def decode(body: bytes) -> Frame:
    """Read a frame's body. Raises `msgspec.DecodeError`."""
    return _decoder.decode(body)
