"""A session that does nothing but remember, for the widgets."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from realtime_nb.errors import RealtimeError
from realtime_nb.session.playback_report import RenderedAt


class FakeEvents:
    def __init__(self) -> None:
        self.logged: list[Any] = []

    def __getitem__(self, sequence: int) -> Any:
        if not 0 <= sequence < len(self.logged):
            raise KeyError(sequence)
        return self.logged[sequence]

    def since(self, sequence: int) -> tuple[list[Any], int]:
        return self.logged[sequence:], 0


class FakePlayback:
    def __init__(self) -> None:
        self.counts: dict[tuple[str, int], int] = {}

    def rendered(self, key: tuple[str, int], n_samples: int, at: RenderedAt | None = None) -> None:
        self.counts[tuple(key)] = n_samples


class FakeSession:
    """Implements `SessionPort`; `said` is what the widget asked of it, in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.state = "connected"
        self.endpoint = "ws://127.0.0.1:1/v1/realtime"
        self.engine = "scripted"
        self.model = "scripted-1"
        self.config = {"audio": {"input": {"turn_detection": {"type": "server_vad"}}, "output": {"voice": "marin"}}}
        self.closed_reason: RealtimeError | None = None
        self.events = FakeEvents()
        self.history: list[Any] = []
        self.transcript: list[Any] = []
        self.regions: list[Any] = []
        self.tool_calls: list[Any] = []
        self.recordings: list[Any] = []
        self.playback = FakePlayback()
        self.said: list[tuple[str, Any]] = []
        self.microphone = bytearray()
        self.observers: list[Any] = []
        self.player: Any = None
        self.ask_error: Exception | None = None
        self.answer = asyncio.Event()
        self.flushed: dict[tuple[str, int], int] | None = None

    def now_ms(self) -> float:
        return self.loop.time() * 1000.0

    def observe(self, observer: Any) -> Any:
        self.observers.append(observer)
        return lambda: self.observers.remove(observer) if observer in self.observers else None

    def attach_player(self, player: Any) -> Any:
        self.player = player

        def detach() -> None:
            if self.player is player:
                self.player = None

        return detach

    def feed_microphone(self, pcm16: bytes) -> None:
        self.microphone += pcm16

    async def ask(self, question: Any) -> Any:
        self.said.append(("ask", question))
        if self.ask_error is not None:
            raise self.ask_error
        await self.answer.wait()

    async def interrupt(self, reason: str = "button") -> None:
        self.said.append(("interrupt", reason))
        if self.player is not None:
            self.flushed = await self.player.flush()

    async def approve(self, call_id: str, *, approved: bool = True) -> bool:
        self.said.append(("approve", (call_id, approved)))
        return any(call.call_id == call_id and call.status == "waiting_for_approval" for call in self.tool_calls)

    async def talk_start(self) -> None:
        self.said.append(("talk_start", None))

    async def talk_end(self) -> None:
        self.said.append(("talk_end", None))

    async def microphone_open(self) -> None:
        self.said.append(("microphone_open", None))

    async def microphone_close(self) -> None:
        self.said.append(("microphone_close", None))

    async def aclose(self) -> None:
        self.said.append(("aclose", None))
        self.set_state("closed")

    def set_state(self, state: str, reason: RealtimeError | None = None) -> None:
        self.state, self.closed_reason = state, reason
        self.tell("on_state", state)

    def log(self, event_type: str, direction: str = "received", *, audio_left_out_bytes: int = 0, **fields: Any) -> Any:
        logged = SimpleNamespace(
            sequence=len(self.events.logged),
            time_ms=float(len(self.events.logged)),
            direction=direction,
            event_type=event_type,
            event={"type": event_type, **fields},
            audio_left_out_bytes=audio_left_out_bytes,
        )
        self.events.logged.append(logged)
        self.tell("on_event", logged)
        return logged

    def call(self, call_id: str, status: str, **fields: Any) -> None:
        """A call is new or changed."""
        shown = {"item_id": f"item_{call_id}", "name": "place_order", "arguments": "{}"}
        ended = {"output": "", "error": "", "duration_ms": None}
        call = SimpleNamespace(call_id=call_id, status=status, **{**shown, **ended, **fields})
        self.tool_calls = [*(other for other in self.tool_calls if other.call_id != call_id), call]
        self.tell("on_tool_call", call)

    def line(self, item_id: str, text: str, *, order: int = 0, role: str = "assistant", final: bool = True) -> None:
        self.tell(
            "on_transcript",
            SimpleNamespace(
                item_id=item_id, order=order, role=role, text=text, final=final, heard_characters=None, status=""
            ),
        )

    def region(self, region_id: str, end_ms: float | None = None) -> None:
        self.tell(
            "on_region",
            SimpleNamespace(region_id=region_id, lane="user", kind="speech", start_ms=0.0, end_ms=end_ms),
        )

    def tell(self, what: str, *news: Any) -> None:
        for observer in list(self.observers):
            getattr(observer, what)(*news)
