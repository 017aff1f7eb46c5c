"""One client of a replayed server: gets what was recorded, at the moments relative to what it does itself."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import numpy as np

from realtime_nb.protocol.session_config import bytes_per_ms
from realtime_nb.session.output_audio import WireAudioDecoder

from .pace import Pace
from .script import Breaks, Gate, Hears, Says, Script, same_ids

PATIENCE_S = 2.0
"""How long an event is waited for that another client may not send at all."""
LOUD = 400.0
"""RMS (of 32,768) that counts as speech: -38 dBFS."""
LOUD_MS = 60.0


class Responder:
    """Plays one connection's script. On one loop.

    Args:
        script: what to say.
        pace: how fast.
        send: puts a frame on the way to the client.
        number: of the connection, from 0.
        ids: which recorded ids are which of the client's; filled here, and given to the client's next connection.
    """

    def __init__(
        self,
        script: Script,
        pace: Pace,
        send: Callable[[str], Awaitable[None]],
        *,
        number: int = 0,
        ids: dict[str, str] | None = None,
    ) -> None:
        self._script = script
        self._pace = pace
        self._send = send
        self._number = number
        self._ids = {} if ids is None else ids
        self._had = {self._ids.get(item, item) for item, came in script.items.items() if came < number}
        self._news = asyncio.Event()
        self._arrived: dict[str, list[tuple[float, dict[str, Any]]]] = {}
        self._heard_ms = self._loud_ms = 0.0
        self._decoder = WireAudioDecoder()
        self._format = script.input_format()

    def take(self, frame: str | bytes) -> None:
        """Take what the client sent; what is no JSON object is passed over."""
        try:
            content = msgspec.json.decode(frame)
        except (msgspec.DecodeError, UnicodeError):
            return
        if not isinstance(content, dict):
            return
        event_type = str(content.get("type", ""))
        if event_type == "input_audio_buffer.append":
            self._listen(content.get("audio"))
        elif not self._rebuilds(content):
            self._arrived.setdefault(event_type, []).append((self._pace.loop.time(), content))
        self._news.set()

    def _rebuilds(self, content: dict[str, Any]) -> bool:
        """Whether a client creates an item again that it had before its connection broke."""
        item = content.get("item")
        return isinstance(item, dict) and isinstance(item.get("id"), str) and item["id"] in self._had

    async def run(self) -> Breaks | None:
        """Say everything there is to say, then return how the connection breaks, None if not. Cancelling is safe."""
        anchor_s = self._pace.loop.time()
        ids = self._ids
        for step in self._script.connections[self._number]:
            match step:
                case Gate():
                    found = await self._gate(step)
                    if found is not None:
                        anchor_s = max(anchor_s, found[0])
                        ids |= same_ids(step, found[1])
                case Hears():
                    await self._until(lambda step=step: self._enough(step))  # type: ignore[misc]
                    self._heard_ms = self._loud_ms = 0.0
                    anchor_s = self._pace.loop.time()
                case Says():
                    await self._pace.until(anchor_s, step.delay_ms)
                    frame = self._script.frame(step.entry, ids)
                    if frame is not None:
                        await self._send(frame)
                case Breaks():
                    await self._pace.until(anchor_s, step.delay_ms, step=False)
                    return step
        return None

    async def _gate(self, gate: Gate) -> tuple[float, dict[str, Any]] | None:
        def arrived() -> bool:
            return len(self._arrived.get(gate.event_type, ())) >= gate.number

        try:
            async with asyncio.timeout(None if gate.patient else PATIENCE_S):
                await self._until(arrived)
        except TimeoutError:
            return None
        return self._arrived[gate.event_type][gate.number - 1]

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()

    def _enough(self, step: Hears) -> bool:
        return self._heard_ms >= step.audio_ms or (step.starts and self._loud_ms >= LOUD_MS)

    def _listen(self, audio: object) -> None:
        try:
            wire = base64.b64decode(audio, validate=True) if isinstance(audio, str) else b""
        except ValueError:
            return
        duration_ms = len(wire) / bytes_per_ms(self._format)
        pcm16 = self._decoder.decode(wire, self._format)
        samples = np.frombuffer(pcm16[: len(pcm16) - len(pcm16) % 2], "<i2").astype(np.float64)
        self._heard_ms += duration_ms
        if len(samples) and np.sqrt(np.mean(samples**2)) >= LOUD:
            self._loud_ms += duration_ms
