"""Recorded sequences: what crosses the wire in each canonical exchange, told in our own words.

Each file of `sequences/` is JSON lines: {"about"} first; then {"C": event} from the client, {"S": event} from the
server and {"D": [move, …]} for what the server's driver does; {"conversation": [[role, words], …]} last. Ids stand for
any id, the same one each time; "audio:400ms" for so much audio; the text "*" for any text.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

from realtime_nb.protocol import server_events as se
from realtime_nb.protocol.server import ServerProtocol
from realtime_nb.protocol.server_response import ServerResponse

FOLDER = Path(__file__).with_name("sequences")
NAMES = sorted(path.stem for path in FOLDER.glob("*.jsonl"))
_ID = re.compile(r"(item|resp|conv|call|sess|event)_\w+")
_AUDIO = re.compile(r"audio:(\d+)ms")


def load(name: str) -> list[dict[str, Any]]:
    """Return the lines of one sequence, audio filled in."""
    return [_filled(json.loads(line)) for line in (FOLDER / f"{name}.jsonl").read_text().splitlines()]


def _filled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _filled(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one) for one in value]
    if isinstance(value, str) and (found := _AUDIO.fullmatch(value)):
        return base64.b64encode(bytes(48 * int(found[1]))).decode()
    return value


class Ids:
    """Which real id each recorded one stands for."""

    def __init__(self) -> None:
        self._real: dict[str, str] = {}

    def real(self, value: Any) -> Any:
        """Return a recorded value with the ids that are known by now."""
        if isinstance(value, dict):
            return {key: self.real(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.real(one) for one in value]
        return self._real.get(value, value) if isinstance(value, str) else value

    def same(self, recorded: Any, real: Any, where: str) -> None:
        """Compare; what is recorded must be there, more may be. New ids are learnt."""
        if isinstance(recorded, dict):
            assert isinstance(real, dict), f"{where}: {real!r} is no object"
            for key, one in recorded.items():
                assert key in real, f"{where}.{key} is missing"
                self.same(one, real[key], f"{where}.{key}")
        elif isinstance(recorded, list):
            assert isinstance(real, list), f"{where}: {real!r} is no list"
            assert len(recorded) == len(real), f"{where}: {recorded!r} != {real!r}"
            for number, (one, other) in enumerate(zip(recorded, real, strict=True)):
                self.same(one, other, f"{where}[{number}]")
        elif isinstance(recorded, str) and _ID.fullmatch(recorded):
            assert self._real.setdefault(recorded, real) == real, f"{where}: {real!r} is not {recorded}"
        elif recorded != "*":
            assert recorded == real, f"{where}: {real!r} is not {recorded!r}"


class Driver:
    """Makes the recorded moves on a server machine."""

    def __init__(self, server: ServerProtocol) -> None:
        self.server = server

    def __call__(self, move: str, *values: Any) -> None:
        getattr(self, f"_{move}")(*values)

    @property
    def _response(self) -> ServerResponse:
        return list(self.server.active.values())[-1]

    def _speech_started(self, start_ms: int) -> None:
        self.server.speech_started(start_ms)

    def _speech_stopped(self, start_ms: int, end_ms: int) -> None:
        self.server.speech_stopped(end_ms, start_ms=start_ms)

    def _idle(self) -> None:
        self.server.idle_timed_out()

    def _respond(self) -> None:
        self.server.create_response()

    def _partly(self, words: str) -> None:
        self.server.emit(se.TranscriptionDelta(item_id=str(self.server.conversation.last_id), delta=words))

    def _transcribed(self, words: str) -> None:
        user = [str(item.id) for item in self.server.conversation if getattr(item, "role", "") == "user"]
        self.server.transcribed(user[-1], words, seconds=1.0)

    def _say(self, words: str, audio_ms: int) -> None:
        response = self._response
        if response._open_message is None:
            response.begin_message()
            self._said = self._said_ms = 0
        self._said, self._said_ms = self._said + len(words), self._said_ms + audio_ms
        response.transcript(words)
        response.audio(bytes(48 * audio_ms))
        response.spoken(self._said_ms, self._said)

    def _write(self, words: str) -> None:
        if self._response._open_message is None:
            self._response.begin_message()
        self._response.text(words)

    def _call(self, name: str, arguments: str) -> None:
        self._response.function_call(name, arguments)

    def _complete(self) -> None:
        self._response.complete()

    def _fail(self, code: str, message: str) -> None:
        self._response.fail(code=code, message=message)

    def _rate_limits(self) -> None:
        self.server.emit(se.RateLimitsUpdated(rate_limits=[]))
