"""Endless odd conversations with a server machine, every step judged by `ServerInvariants`; repeatable by its seed."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from realtime_nb.errors import RemoteProtocolError
from realtime_nb.protocol import server_events as se
from realtime_nb.protocol.ids import IdFactory
from realtime_nb.protocol.server import Action, BufferCleared, Committed, ServerProtocol, SessionChanged
from realtime_nb.protocol.server_response import ServerResponse
from realtime_nb.protocol.session_config import SessionConfig

from .invariants import ServerInvariants
from .odd_frames import CHUNK_BYTES, OPTIONS, PATCHES, encoded, mutated, new_item, nonsense, sound

Event = dict[str, Any]
WORDS = ("Yes, ", "your order ", "is on ", "its way. ", "É😀 ")
LONG_BYTES = (480_000, 960_000)
HUGE_BYTES = (5_000_000, 15 * 1024 * 1024, 15 * 1024 * 1024 + 1)
MAX_ITEMS = 400
"""A session that holds so many items is ended, so that the time of a step stays the same."""


class FuzzReport(msgspec.Struct):
    """What a run covered.

    Attributes:
        steps: client frames and moves of the driver.
        frames_in: client frames.
        frames_out: server frames, each judged.
        sessions: connections begun.
        client_types: client frames by type; "(nonsense)" for what has none.
        server_types: server frames by type.
        error_codes: `error` events by code.
        statuses: `response.done` by status.
        most_items: in one conversation.
        seconds: wall time.
    """

    steps: int = 0
    frames_in: int = 0
    frames_out: int = 0
    sessions: int = 0
    client_types: Counter[str] = msgspec.field(default_factory=Counter)
    server_types: Counter[str] = msgspec.field(default_factory=Counter)
    error_codes: Counter[str] = msgspec.field(default_factory=Counter)
    statuses: Counter[str] = msgspec.field(default_factory=Counter)
    most_items: int = 0
    seconds: float = 0.0


class ServerFuzz:
    """Generates client frames and a driver's moves, and gives them to one server machine after the other.

    Args:
        seed: the same seed gives the same run.
        frames_per_session: client frames and moves until a connection ends.
        make_machine: another machine than `ServerProtocol`, to see a bug found.
        on_frame: told every server frame.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        frames_per_session: int = 500,
        make_machine: Callable[[IdFactory], ServerProtocol] | None = None,
        on_frame: Callable[[str], None] = lambda frame: None,
    ) -> None:
        self.report = FuzzReport()
        self._chance = random.Random(seed)
        self._steps_per_session = frames_per_session
        self._make = make_machine or _machine
        self._on_frame = on_frame
        self._choices = self._weighted()
        self._begin()

    def run(self, client_frames: int) -> FuzzReport:
        """Go on until so many client frames were read.

        Raises:
            InvariantBroken: the machine did what no server may.
        """
        started_s, last = time.perf_counter(), self.report.frames_in + client_frames
        while self.report.frames_in < last:
            self._step()
            if self._left == 0 or len(self.rules.items) > MAX_ITEMS:
                self._end()
                self._begin()
        self._end()
        self._begin()
        self.report.seconds += time.perf_counter() - started_s
        return self.report

    # --- sessions -----------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self.machine = self._make(IdFactory(self._chance.randrange(2**32)))
        self.rules = ServerInvariants(self.machine)
        self._left = self._steps_per_session
        self._speaking: int | None = None
        self._sent = 0
        self.report.sessions += 1
        self.machine.open()
        self._flush()

    def _end(self) -> None:
        for response in list(self.machine.active.values()):
            response.complete()
        self._flush()
        self.rules.ended()

    def _step(self) -> None:
        self.report.steps += 1
        self._left -= 1
        self._chance.choice(self._choices)()
        self._flush()
        self.rules.settled()

    def _flush(self) -> None:
        for frame in self.machine.data_to_send():
            self.report.frames_out += 1
            self._count(frame)
            self.rules.server_sent(frame)
            self._on_frame(frame)
        self.rules.require(not self.machine.events_to_send(), "bounds", "the outbox is not emptied")

    def _count(self, frame: str) -> None:
        head = frame[: frame.index('"', 9)]
        kind = head.removeprefix('{"type":"')
        self.report.server_types[kind] += 1
        if kind == "error":
            self.report.error_codes[str(msgspec.json.decode(frame)["error"]["code"])] += 1
        elif kind == "response.done":
            self.report.statuses[msgspec.json.decode(frame)["response"]["status"]] += 1

    def _send(self, frame: str | bytes, kind: str) -> None:
        self.report.frames_in += 1
        self.report.client_types[kind] += 1
        self.rules.client_sent(frame)
        self._act(self.machine.receive(frame))
        self.report.most_items = max(self.report.most_items, len(self.rules.items))

    def _act(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Committed | BufferCleared):
                self._speaking = None
            elif isinstance(action, SessionChanged):
                old, new = action.before.audio.input, action.after.audio.input
                if old.format != new.format or (old.turn_detection is None) != (new.turn_detection is None):
                    self._speaking = self.machine.speech_item_id = None

    # --- the client ---------------------------------------------------------------------------------------------

    def _weighted(self) -> list[Callable[[], None]]:
        weights: dict[Callable[[], None], int] = {
            self._append: 14,
            lambda: self._event("input_audio_buffer.commit"): 6,
            lambda: self._event("input_audio_buffer.clear"): 2,
            self._create_item: 9,
            lambda: self._event("conversation.item.retrieve", item_id=self._item_id()): 5,
            lambda: self._event("conversation.item.delete", item_id=self._item_id()): 6,
            self._truncate: 10,
            self._create_response: 10,
            self._cancel: 5,
            self._update: 6,
            self._nonsense: 5,
            self._produce: 22,
            self._speech: 8,
            self._other: 3,
        }
        return [move for move, weight in weights.items() for _ in range(weight)]

    def _event(self, kind: str, **fields: Any) -> None:
        event: Event = {"type": kind, **fields}
        draw, self._sent = self._chance.random(), self._sent + 1
        if draw < 0.5:
            event["event_id"] = f"event_client_{self._sent}"
        elif draw < 0.56:
            event["event_id"] = self._chance.choice(["same", "", "e" * 512, "e" * 513, 7, None, "é😀\n"])
        if self._chance.random() < 0.12:
            event = mutated(event, self._chance)
        self._send(encoded(event), kind)

    def _append(self) -> None:
        draw = self._chance.random()
        sizes = HUGE_BYTES if draw < 0.002 else LONG_BYTES if draw < 0.02 else CHUNK_BYTES
        n_bytes = self._chance.choice(sizes)
        self._event("input_audio_buffer.append", audio=sound(n_bytes))

    def _create_item(self) -> None:
        fields: Event = {"item": new_item(self._chance, [*self.rules.items[-5:], *self.rules.deleted])}
        draw = self._chance.random()
        if draw < 0.5:
            fields["previous_item_id"] = self._chance.choice(["root", "", None, "item_nowhere", self._item_id()])
        self._event("conversation.item.create", **fields)

    def _item_id(self) -> str:
        known = self.rules.items
        return self._chance.choice(known) if known and self._chance.random() < 0.9 else "item_nowhere"

    def _truncate(self) -> None:
        spoken = self.rules.spoken_ms
        known = bool(spoken) and self._chance.random() < 0.85
        item_id = self._chance.choice(list(spoken)) if known else self._item_id()
        held_ms = int(spoken.get(item_id, 0))
        mark = self._chance.choice([0, 1, held_ms // 3, held_ms - 1, held_ms, held_ms + 1, -1, 10**12, held_ms + 0.5])
        index = 0 if self._chance.random() < 0.95 else self._chance.choice([1, -1, 99])
        self._event("conversation.item.truncate", item_id=item_id, content_index=index, audio_end_ms=mark)

    def _create_response(self) -> None:
        options = self._chance.choice(OPTIONS)
        if self._chance.random() < 0.1 and self.rules.items:
            references = [{"type": "item_reference", "id": self._item_id()}, new_item(self._chance, [])]
            options = {"conversation": "none", "input": references}
        self._event("response.create", **({} if options == {} else {"response": options}))

    def _cancel(self) -> None:
        known = [*self.rules.responses, "resp_nowhere", None, ""]
        named = {"response_id": self._chance.choice(known)} if self._chance.random() < 0.5 else {}
        self._event("response.cancel", **named)

    def _update(self) -> None:
        patch = self._chance.choice(PATCHES)
        kind = {} if self._chance.random() < 0.05 else {"type": "realtime"}
        self._event("session.update", session={**kind, **patch})

    def _nonsense(self) -> None:
        self._send(nonsense(self._chance), "(nonsense)")

    # --- the driver ---------------------------------------------------------------------------------------------

    def _produce(self) -> None:
        active = list(self.machine.active.values())
        if active:
            response = self._chance.choice(active)
            moves = [self._talk] * 12 + [self._call, self._close_message, self._finish]
            self._chance.choice(moves)(response)

    def _talk(self, response: ServerResponse) -> None:
        if response._open_message is None:
            response.begin_message()
            self._said = 0
        word = self._chance.choice(WORDS)
        if response.settings.output_modality == "text":
            response.text(word)
            return
        response.transcript(word)
        response.audio(bytes(self._chance.choice([0, 2, 478, 4800, 9600])))
        response.spoken(self._chance.randrange(400), self._chance.randrange(40))

    def _call(self, response: ServerResponse) -> None:
        response.function_call("look_up", '{"number": 7}')

    def _close_message(self, response: ServerResponse) -> None:
        response.end_message()

    def _finish(self, response: ServerResponse) -> None:
        ends: list[Callable[[], None]] = [
            response.complete,
            lambda: response.fail(code="server_error", message="The voice died."),
            lambda: response.incomplete("max_output_tokens"),
        ]
        self._chance.choice(ends)()
        self.machine.emit(se.RateLimitsUpdated(rate_limits=[]))
        response.transcript("too late")
        response.complete()

    def _speech(self) -> None:
        machine = self.machine
        end_ms = round(machine.input_buffer.end_ms)
        if machine.config.audio.input.turn_detection is None:
            machine.reserve_user_item()
        elif self._speaking is None:
            machine.speech_item_id = None
            self._speaking = max(self.rules.speech_end_ms, end_ms - 300, 0)
            machine.speech_started(self._speaking)
        elif end_ms >= self._speaking:
            start_ms, self._speaking = self._speaking, None
            committed = machine.speech_stopped(end_ms, start_ms=start_ms)
            if self._chance.random() < 0.7:
                machine.transcribed(str(committed.item.id), "heard", seconds=0.1)
            self._answer()

    def _answer(self) -> None:
        try:
            self.machine.create_response()
        except RemoteProtocolError:
            return

    def _other(self) -> None:
        if self._speaking is None and self._chance.random() < 0.3:
            self.machine.idle_timed_out()
            self._answer()
        elif self._chance.random() < 0.3:
            self.machine.emit(se.RateLimitsUpdated(rate_limits=[]))
        else:
            self._recognise()

    def _recognise(self) -> None:
        rules = self.rules
        item_id = next((one for one in rules.items if one in rules.committed and one not in rules.transcribed), None)
        if item_id is None:
            return
        self.machine.emit(se.TranscriptionDelta(item_id=item_id, delta="hea"))
        error = se.ErrorDetails(type="server_error", code="recogniser_failed", message="The recogniser died.")
        if self._chance.random() < 0.3:
            self.machine.emit(se.TranscriptionFailed(item_id=item_id, error=error))
        else:
            self.machine.transcribed(item_id, "heard", seconds=0.1)


def _machine(ids: IdFactory) -> ServerProtocol:
    voices = ("alloy", "marin", "coral")
    return ServerProtocol(SessionConfig(id="sess_fuzz", model="m", expires_at=1), ids=ids, voices=voices)


__all__ = ["FuzzReport", "ServerFuzz"]
