"""One scenario being played: connections, verdicts, and the usual moves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec
import numpy as np

from realtime_nb.audio import AudioClip
from realtime_nb.audio.format import WIRE_SAMPLE_RATE_HZ
from realtime_nb.session.endpoint import Endpoint
from realtime_nb.testing.conformance.peer import Event, Peer, ShapeLog, of_response
from realtime_nb.testing.conformance.results import Finding, Verdict, finding
from realtime_nb.testing.conformance.scenario import Scenario
from realtime_nb.transport.websocket import WebSocketTransport, open_websocket

FRAME_MS = 40
FRAME_BYTES = FRAME_MS * 48
UNSUPPORTED = ("unsupported", "not_supported", "not_implemented", "unknown_event")
SILENCE_BEFORE_MS = 400
SILENCE_AFTER_MS = 1500


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The server under test and how it is treated.

    Attributes:
        endpoint: where, with model and key.
        clip: what is said where speech is needed, 24 kHz, with its true bounds.
        patience_s: how long a single event may take.
    """

    endpoint: Endpoint
    clip: AudioClip
    patience_s: float = 10.0

    def url(self, **query: str | None) -> str:
        """Return the WebSocket's address with query parameters set, or with None removed."""
        parts = urlsplit(self.endpoint.websocket_url)
        pairs = {**dict(parse_qsl(parts.query)), **query}
        kept = urlencode({key: value for key, value in pairs.items() if value is not None})
        return urlunsplit(parts._replace(query=kept))


def says_unsupported(frame: Any) -> bool:
    """Return whether a frame is an error that says, honestly, that the server has no such thing."""
    if not isinstance(frame, dict) or frame.get("type") != "error":
        return False
    error = frame.get("error") or {}
    code = str(error.get("code"))
    return (code == "invalid_value" and error.get("param") == "type") or any(word in code for word in UNSUPPORTED)


class NotApplicable(Exception):
    """The rest of a scenario cannot be tested here; the message says why."""


class Trial:
    """Hands connections to a scenario and takes its verdicts.

    Attributes:
        target: whom it talks to.
        findings: by row key.
        peers: every connection opened.
    """

    def __init__(self, target: Target, scenario: Scenario, shapes: ShapeLog) -> None:
        self.target = target
        self.findings: dict[str, Finding] = {}
        self.peers: list[Peer] = []
        self._scenario = scenario
        self._rows = {row.key: row for row in scenario.rows}
        self._shapes = shapes

    # --- verdicts -----------------------------------------------------------------------------------------------

    def check(self, key: str, ok: object, frame: Any = None, why: str = "") -> None:
        """Judge a row; judged more than once it passes only if it always did."""
        before = self.findings.get(key)
        if before is not None and before.verdict is Verdict.FAIL:
            return
        if not ok and says_unsupported(frame):
            self.unsupported(key, frame)
            return
        verdict = Verdict.PASS if ok else Verdict.FAIL
        self._settle(key, verdict, "" if ok else why or "it is not so", None if ok else frame)

    def not_tested(self, key: str, why: str) -> None:
        """Say why a row could not be judged."""
        if key not in self.findings:
            self._settle(key, Verdict.NOT_TESTED, why)

    def unsupported(self, key: str, frame: Event) -> None:
        """The server said with an error that it cannot do this."""
        error = frame.get("error") or {}
        self._settle(key, Verdict.UNSUPPORTED, f"{error.get('code')}: {error.get('message')}", frame)

    @property
    def unjudged(self) -> list[str]:
        """Rows without a verdict."""
        return [key for key in self._rows if key not in self.findings]

    def row_event(self, key: str) -> str:
        """Return the event that a row is about."""
        return self._rows[key].event

    def _settle(self, key: str, verdict: Verdict, why: str = "", frame: Any = None) -> None:
        seen = self.findings[key].seen if key in self.findings else 0
        self.findings[key] = finding(self._scenario.name, self._rows[key], verdict, why, frame, seen + 1)

    # --- connections --------------------------------------------------------------------------------------------

    async def connect(
        self,
        *,
        query: Mapping[str, str | None] | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = "",
        subprotocols: Sequence[str] | None = None,
    ) -> Peer:
        """Open a connection and read nothing yet.

        Args:
            query: changes of the address's parameters.
            headers: more of them.
            key: another one, "" for the right one, None for none.
            subprotocols: to offer.
        """
        auth = self.target.endpoint.headers if key == "" else {"Authorization": f"Bearer {key}"} if key else {}
        transport: WebSocketTransport = await open_websocket(
            self.target.url(**dict(query or {})),
            headers={**auth, **(headers or {})},
            subprotocols=subprotocols,
            timeout_s=self.target.patience_s,
        )
        peer = Peer(transport, self._shapes, patience_s=self.target.patience_s)
        self.peers.append(peer)
        return peer

    async def open(self, **session: Any) -> Peer:
        """Open a session, change its settings if any are given, and return the connection."""
        peer = await self.connect()
        await peer.until("session.created")
        if session:
            await self.update(peer, **session)
        return peer

    async def close(self) -> None:
        """Let every connection end what it began, and close it."""
        await asyncio.gather(*(peer.settle_and_close() for peer in self.peers))

    # --- moves --------------------------------------------------------------------------------------------------

    async def update(self, peer: Peer, **session: Any) -> dict[str, Any]:
        """Change settings and return the effective ones."""
        await peer.send("session.update", session={"type": "realtime", **session})
        updated = await peer.until("session.updated")
        return dict(updated.get("session") or {})

    async def say(self, peer: Peer, text: str, **fields: Any) -> Event:
        """Add a typed user message and return its `conversation.item.done`."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content, **fields.pop("item", {})}
        await peer.send("conversation.item.create", item=item, **fields)
        return await peer.until("conversation.item.done")

    async def respond(self, peer: Peer, **response: Any) -> Event:
        """Ask for a response, wait for its end and return the response."""
        await peer.send("response.create", response=response)
        created = await peer.until("response.created")
        response_id = created["response"]["id"]
        done = await peer.until("response.done", where=of_response(response_id))
        return dict(done["response"])

    async def spoken_answer(self, peer: Peer, text: str = "Please say one short sentence about the sea.") -> str:
        """Have the assistant say something, and return the id of the item that holds it."""
        await self.say(peer, text)
        response = await self.respond(peer, output_modalities=["audio"])
        for item in response.get("output") or []:
            if item.get("type") == "message" and peer.audio(item.get("id", "")):
                return str(item["id"])
        raise NotApplicable(f"the server said nothing aloud: status {response.get('status')}")

    def speech(self, *, tail_ms: int = SILENCE_AFTER_MS) -> bytes:
        """Return the clip between silences, PCM16 at 24 kHz."""
        before = np.zeros(SILENCE_BEFORE_MS * WIRE_SAMPLE_RATE_HZ // 1000, np.int16)
        after = np.zeros(tail_ms * WIRE_SAMPLE_RATE_HZ // 1000, np.int16)
        return np.concatenate([before, self.target.clip.samples, after]).astype("<i2").tobytes()

    async def hear(self, peer: Peer, audio: bytes, *, paced: bool = False, bytes_per_ms: int = 48) -> None:
        """Append audio in frames of 40 ms, as fast as it goes or at the speed of speech."""
        loop = asyncio.get_running_loop()
        began, size = loop.time(), FRAME_MS * bytes_per_ms
        for count, start in enumerate(range(0, len(audio), size), start=1):
            await peer.append(audio[start : start + size])
            if paced:
                await asyncio.sleep(max(0.0, began + count * FRAME_MS / 1000 - loop.time()))
