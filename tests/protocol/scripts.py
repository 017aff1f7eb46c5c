"""A client machine wired to a server machine, driven by a script of small numbers.

Frames travel in two queues, one way each; the script says when each frame arrives. Every frame of the server is judged
by the SDK's types, and every response must end exactly once.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from realtime_nb.errors import LocalProtocolError, RemoteProtocolError
from realtime_nb.protocol import client_events as ce
from realtime_nb.protocol.client import ClientProtocol
from realtime_nb.protocol.ids import IdFactory
from realtime_nb.protocol.items import FunctionCallOutput, InputText, Message
from realtime_nb.protocol.playback import PlaybackKey
from realtime_nb.protocol.response import ResponseOptions
from realtime_nb.protocol.server import ServerProtocol
from realtime_nb.protocol.server_response import ServerResponse
from realtime_nb.protocol.session_config import SessionConfig
from tests.protocol.strict import check_server_frame

WORDS = ("yes ", "your order ", "is on ", "its way. ")


class Pair:
    """Both machines and the frames between them."""

    def __init__(self, *, check_frames: bool = True) -> None:
        self.client = ClientProtocol(ids=IdFactory(1))
        self.server = ServerProtocol(SessionConfig(id="sess_a", model="m", expires_at=1), ids=IdFactory(2))
        self.server.open()
        self.to_server: deque[str] = deque()
        self.to_client: deque[str] = deque()
        self.seen: list[dict[str, Any]] = []
        self.sent: list[dict[str, Any]] = []
        self.ends: Counter[str] = Counter()
        self._check = check_frames
        self._speaking = False
        self.pump()

    def pump(self) -> None:
        self.to_server.extend(self.client.data_to_send())
        self.to_client.extend(self.server.data_to_send())

    def deliver_to_server(self) -> None:
        if self.to_server:
            frame = self.to_server.popleft()
            self.sent.append(json.loads(frame))
            self.server.receive(frame)
            self.pump()

    def deliver_to_client(self) -> None:
        if self.to_client:
            frame = self.to_client.popleft()
            if self._check:
                check_server_frame(frame)
            event = json.loads(frame)
            self.seen.append(event)
            if event["type"] == "response.done":
                self.ends[event["response"]["id"]] += 1
            self.client.receive(frame)
            self.pump()

    def settle(self) -> None:
        """Deliver everything, end every response, deliver the rest."""
        self._deliver_all()
        for response in list(self.server.active.values()):
            response.complete()
        self.pump()
        self._deliver_all()

    def _deliver_all(self) -> None:
        while self.to_server or self.to_client:
            self.deliver_to_server()
            self.deliver_to_client()

    def send(self, event: Any) -> None:
        """Send what the client machine lets through."""
        try:
            self.client.send(event)
        except LocalProtocolError:
            return
        self.pump()

    # --- moves of the script: each takes a number that chooses -----------------------------------------------------

    def append(self, n: int) -> None:
        self.send(ce.InputAudioBufferAppend(audio=bytes(48 * (n % 7) * 40)))

    def commit(self, n: int) -> None:
        self.send(ce.InputAudioBufferCommit())

    def clear(self, n: int) -> None:
        self.send(ce.InputAudioBufferClear())

    def create_item(self, n: int) -> None:
        known = [str(item.id) for item in self.client.conversation]
        previous = ["root", "", *known, "item_nowhere"][n % (3 + len(known))]
        item = Message(role="user", content=[InputText(text=f"text {n}")])
        if n % 5 == 0:
            self.send(ce.ConversationItemCreate(item=FunctionCallOutput(call_id="call_a", output=f"{n}")))
        else:
            self.send(ce.ConversationItemCreate(item=item, previous_item_id=previous))

    def delete_item(self, n: int) -> None:
        self.send(ce.ConversationItemDelete(item_id=self._client_item(n)))

    def retrieve_item(self, n: int) -> None:
        self.send(ce.ConversationItemRetrieve(item_id=self._client_item(n)))

    def truncate_item(self, n: int) -> None:
        spoken = [key.item_id for key in self.client.playback.parts]
        item_id = spoken[n % len(spoken)] if spoken and n % 4 else self._client_item(n)
        received_ms = self.client.playback.received_ms(PlaybackKey(item_id, 0))
        self.send(ce.ConversationItemTruncate(item_id=item_id, content_index=0, audio_end_ms=n % (received_ms + 1)))

    def update_session(self, n: int) -> None:
        patches: list[dict[str, Any]] = [
            {"instructions": f"Number {n}."},
            {"output_modalities": ["text"]},
            {"output_modalities": ["audio"]},
            {"audio": {"input": {"turn_detection": None}}},
            {"audio": {"input": {"turn_detection": {"type": "server_vad", "interrupt_response": bool(n % 2)}}}},
            {"audio": {"output": {"voice": "marin"}}},
            {"nonsense": n},
        ]
        self.send(ce.SessionUpdate(session={"type": "realtime", **patches[n % len(patches)]}))

    def create_response(self, n: int) -> None:
        if n % 3 == 0:
            options = ResponseOptions(conversation="none", output_modalities=["text"], metadata={"n": str(n)})
            self.send(ce.ResponseCreate(response=options))
        else:
            self.send(ce.ResponseCreate())

    def cancel_response(self, n: int) -> None:
        self.send(ce.ResponseCancel())

    def speech_starts(self, n: int) -> None:
        if not self._speaking:
            self._speaking = True
            self.server.speech_started(round(self.server.input_buffer.end_ms))
            self.pump()

    def speech_stops(self, n: int) -> None:
        if self._speaking:
            self._speaking = False
            end_ms = round(self.server.input_buffer.end_ms)
            committed = self.server.speech_stopped(end_ms, start_ms=self.server.input_buffer.start_ms)
            if n % 2:
                self.server.transcribed(str(committed.item.id), f"heard {n}", seconds=0.1)
            if n % 3:
                try:
                    self.server.create_response()
                except RemoteProtocolError:
                    pass
            self.pump()

    def produce(self, n: int) -> None:
        active = list(self.server.active.values())
        if active:
            moves: list[Callable[[ServerResponse, int], None]] = [keep_talking, keep_talking, keep_talking, _call, _end]
            moves[n % len(moves)](active[n % len(active)], n // 7)
            self.pump()

    def _client_item(self, n: int) -> str:
        known = [str(item.id) for item in self.client.conversation]
        return known[n % len(known)] if known and n % 8 else "item_nowhere"


def keep_talking(response: ServerResponse, n: int) -> None:
    if response._open_message is None:
        response.begin_message()
    word = WORDS[n % len(WORDS)]
    if response.settings.output_modality == "audio":
        response.transcript(word)
        response.audio(bytes(4800))
        per_ms = 48
        response.spoken(len(response._audio) / per_ms, len(response._open_message.content[0].transcript))  # type: ignore[union-attr, arg-type]
    else:
        response.text(word)


def _call(response: ServerResponse, n: int) -> None:
    response.function_call("look_up", json.dumps({"number": n}))


def _end(response: ServerResponse, n: int) -> None:
    ends: list[Callable[[], None]] = [
        response.complete,
        lambda: response.fail(code="server_error", message="The voice died."),
        lambda: response.incomplete("max_output_tokens"),
        lambda: response.cancel("turn_detected"),
    ]
    ends[n % len(ends)]()


MOVES = (
    "append",
    "commit",
    "clear",
    "create_item",
    "create_item",
    "delete_item",
    "retrieve_item",
    "truncate_item",
    "update_session",
    "create_response",
    "create_response",
    "cancel_response",
    "speech_starts",
    "speech_stops",
    "produce",
    "produce",
    "produce",
    "produce",
    "deliver_to_server",
    "deliver_to_client",
)


def play(script: list[tuple[str, int]], *, check_frames: bool = True) -> Pair:
    """Play a script to the end and return the settled pair."""
    pair = Pair(check_frames=check_frames)
    for move, n in script:
        if move.startswith("deliver"):
            for _ in range(1 + n % 6):
                getattr(pair, move)()
        else:
            getattr(pair, move)(n)
    pair.settle()
    return pair
