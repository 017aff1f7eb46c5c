"""Files that come over the link in pieces, announced by a command."""

from __future__ import annotations

import asyncio
from typing import Any

from realtime_nb.errors import AudioError

__all__ = ["MAX_UPLOAD_BYTES", "Uploads"]

MAX_UPLOAD_BYTES = 64 * 1024 * 1024
MAX_UPLOADS = 2
IDLE_TIMEOUT_S = 20.0


class _Upload:
    def __init__(self, size: Any) -> None:
        self.size = size if isinstance(size, int) else 0
        self.data = bytearray()
        self.moved = asyncio.Event()
        self.gone = False


class Uploads:
    """The uploads of one widget: at most two at a time, 64 MiB each. Lives on the runtime loop."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, int], _Upload] = {}

    def announce(self, client_id: str, upload_id: int, size: Any) -> None:
        """Expect a file's pieces from now on; `receive` must follow."""
        if len(self._running) < MAX_UPLOADS:
            self._running[client_id, upload_id] = _Upload(size)

    async def receive(self, client_id: str, upload_id: int, name: str) -> bytes:
        """Wait for all bytes of an announced file. Cancellation-safe: what came is dropped.

        Raises:
            AudioError: empty, too large, too many at a time, or it stopped coming.
        """
        upload = self._running.get((client_id, upload_id))
        if upload is None:
            raise AudioError("Other files are still being uploaded.", what_now="Wait for them and try again.")
        try:
            if upload.size <= 0:
                raise AudioError(f"The file {name!r} is empty.", what_now="Choose a WAV, FLAC, OGG or MP3 file.")
            if upload.size > MAX_UPLOAD_BYTES:
                raise AudioError(
                    f"The file {name!r} has {upload.size >> 20} MB; at most {MAX_UPLOAD_BYTES >> 20} MB can come.",
                    what_now="Cut it, or load it in a cell with AudioClip.load(path).",
                )
            await self._complete(upload, name)
        finally:
            del self._running[client_id, upload_id]
        return bytes(upload.data)

    def feed(self, client_id: str, upload_id: int, piece: bytes) -> None:
        """Take a piece; pieces of no announced file are ignored."""
        upload = self._running.get((client_id, upload_id))
        if upload is not None and len(upload.data) + len(piece) <= min(upload.size, MAX_UPLOAD_BYTES):
            upload.data += piece
            upload.moved.set()

    def abandon(self, client_id: str) -> None:
        """The view is gone: its uploads fail."""
        for (owner, _), upload in self._running.items():
            if owner == client_id:
                upload.gone = True
                upload.moved.set()

    def close(self) -> None:
        """All uploads fail."""
        for upload in self._running.values():
            upload.gone = True
            upload.moved.set()

    async def _complete(self, upload: _Upload, name: str) -> None:
        while len(upload.data) < upload.size:
            upload.moved.clear()
            try:
                async with asyncio.timeout(IDLE_TIMEOUT_S):
                    await upload.moved.wait()
            except TimeoutError:
                upload.gone = True
            if upload.gone:
                raise AudioError(
                    f"The upload of {name!r} stopped at {len(upload.data)} of {upload.size} bytes.",
                    what_now="Try again while the page stays open.",
                )
