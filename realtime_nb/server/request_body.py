"""Reads the bodies of requests: JSON into structs, uploads into fields and bytes, neither beyond a bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar

import msgspec
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from realtime_nb.errors import RemoteProtocolError
from realtime_nb.protocol.session_config import validation_problem
from realtime_nb.server.refusals import ClientLeft

T = TypeVar("T")

MAX_FIELDS = 200
MAX_FIELD_BYTES = 1024 * 1024
_INLINE_BYTES = 256 * 1024
"""Larger JSON is parsed off the loop."""


class Upload(msgspec.Struct, frozen=True):
    """A form with one file.

    Attributes:
        file: its bytes; None where the form has none.
        fields: the other fields' values in order, by name without a trailing "[]".
    """

    file: bytes | None
    fields: dict[str, list[str]]


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Return the whole body.

    Raises:
        RemoteProtocolError: `request_too_large`.
        ClientLeft: it never came.
    """
    pieces: list[bytes] = []
    try:
        async for piece in _bounded(request, max_bytes):
            pieces.append(piece)
    except ClientDisconnect as left:
        raise ClientLeft from left
    return b"".join(pieces)


async def read_json(request: Request, kind: type[T], max_bytes: int) -> T:
    """Return the body as a struct.

    Raises:
        RemoteProtocolError: too large, no JSON, or not of that shape.
        ClientLeft: it never came.
    """
    body = await read_body(request, max_bytes)
    if len(body) <= _INLINE_BYTES:
        return _parsed(body, kind)
    return await asyncio.to_thread(_parsed, body, kind)


def _parsed(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as problem:
        raise validation_problem(problem) from problem
    except (msgspec.DecodeError, UnicodeError, RecursionError) as problem:
        raise RemoteProtocolError("We could not parse the JSON body of your request.", code="invalid_json") from problem


async def read_upload(request: Request, max_bytes: int) -> Upload:
    """Return a `multipart/form-data` body.

    Raises:
        RemoteProtocolError: too large, or no such form.
        ClientLeft: it never came.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise RemoteProtocolError("The body must be multipart/form-data, with the audio as its field 'file'.")
    parser = MultiPartParser(
        request.headers,
        _bounded(request, max_bytes),
        max_files=1,
        max_fields=MAX_FIELDS,
        max_part_size=MAX_FIELD_BYTES,
    )
    parser.spool_max_size = max_bytes  # what people say is not written to a disk
    try:
        form = await parser.parse()
    except MultiPartException as problem:
        raise RemoteProtocolError(f"The form cannot be read: {problem.message}") from problem
    except KeyError as problem:
        raise RemoteProtocolError("The form cannot be read: the header names no boundary.") from problem
    except ClientDisconnect as left:
        raise ClientLeft from left
    try:
        fields: dict[str, list[str]] = {}
        for name, value in form.multi_items():
            if isinstance(value, str):
                fields.setdefault(name.removesuffix("[]"), []).append(value)
        file = form.get("file")
        return Upload(await file.read() if isinstance(file, UploadFile) else None, fields)
    finally:
        await form.close()


async def _bounded(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    n_bytes = 0
    async for piece in request.stream():
        n_bytes += len(piece)
        if n_bytes > max_bytes:
            raise RemoteProtocolError(
                f"Maximum content size limit ({max_bytes}) exceeded ({n_bytes} bytes read)", code="request_too_large"
            )
        yield piece
