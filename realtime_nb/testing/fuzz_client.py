"""Server frames for a client machine: real ones, late, twice, lost, mutated or nonsense."""

from __future__ import annotations

import random
import time
from collections import Counter, deque

import msgspec

from realtime_nb.errors import LocalProtocolError
from realtime_nb.protocol import client_events as ce
from realtime_nb.protocol.client import ClientProtocol
from realtime_nb.protocol.ids import IdFactory
from realtime_nb.protocol.server_events import UnknownEvent

from .fuzz import ServerFuzz
from .odd_frames import encoded, mutated, nonsense

MAX_ANSWERS = 2
"""What one received frame may make a client machine send."""


class ClientFuzz:
    """Gives the frames of a fuzzed server to client machines, spoiled, and checks what must hold of any client.

    A client machine never raises; what was heard is never more than what was received; its conversation and counts
    stay consistent; one frame makes it send next to nothing.

    Args:
        seed: the same seed gives the same run.
        spoiled: chance that a frame is mutated, lost, repeated or swapped.
    """

    def __init__(self, seed: int = 0, *, spoiled: float = 0.3) -> None:
        self.kinds: Counter[str] = Counter()
        self.frames = 0
        self.seconds = 0.0
        self._chance = random.Random(seed)
        self._spoiled = spoiled
        self._late: deque[str] = deque(maxlen=8)
        self._frames: list[str] = []
        self._server = ServerFuzz(seed, on_frame=self._frames.append)
        self._client = ClientProtocol(ids=IdFactory(seed))
        self._ended: set[str] = set()

    def run(self, frames: int) -> None:
        """Go on until so many server frames were received.

        Raises:
            AssertionError: the client machine is in a state that cannot be.
        """
        started_s, last = time.perf_counter(), self.frames + frames
        while self.frames < last:
            self._server.run(200)
            for frame in self._frames:
                for given in self._spoil(frame):
                    self._receive(given)
            self._frames.clear()
            self._client, self._ended = ClientProtocol(ids=IdFactory(self.frames)), set()
        self.seconds += time.perf_counter() - started_s

    def _spoil(self, frame: str) -> list[str | bytes]:
        chance = self._chance
        if chance.random() > self._spoiled:
            return [frame]
        self._late.append(frame)
        match chance.randrange(6):
            case 0:
                return []
            case 1:
                return [frame, frame]
            case 2:
                return [chance.choice(self._late), frame]
            case 3:
                return [frame, nonsense(chance)]
            case 4:
                return [frame[: chance.randrange(len(frame))]]
            case _:
                return [encoded(mutated(msgspec.json.decode(frame), chance))]

    def _receive(self, frame: str | bytes) -> None:
        client = self._client
        event = client.receive(frame)
        self.frames += 1
        ended = {one for one, phase in client.phases.items() if phase.ended}
        assert not self._ended & set(client.active), "an ended response is active again"
        self._ended = ended
        unknown = isinstance(event, UnknownEvent)
        self.kinds["(unknown)" if unknown else str(type(event).__struct_config__.tag)] += 1
        if self._chance.random() < 0.1:
            self._move()
        assert len(client.data_to_send()) <= MAX_ANSWERS, "one frame makes the client say too much"
        if self._chance.random() < 0.02:
            self._check()

    def _move(self) -> None:
        """Play, be cut, say something."""
        client, chance = self._client, self._chance
        playback = client.playback
        for key in playback.open_keys[:2]:
            playback.rendered(key, chance.randrange(48_000))
        events: list[ce.ClientEvent] = [
            ce.ResponseCreate(),
            ce.ResponseCancel(),
            ce.InputAudioBufferCommit(),
            ce.InputAudioBufferAppend(audio=bytes(4800)),
        ]
        for cut in playback.cut() if chance.random() < 0.1 else []:
            received_ms = playback.received_ms(cut.key)
            assert 0 <= cut.audio_end_ms <= received_ms, f"{cut} of {received_ms} ms"
        try:
            client.send(chance.choice(events))
        except LocalProtocolError:
            return

    def _check(self) -> None:
        client = self._client
        for key in client.playback.parts:
            heard_ms, received_ms = client.playback.heard_ms(key), client.playback.received_ms(key)
            assert 0 <= heard_ms <= received_ms, f"{key}: heard {heard_ms} of {received_ms} ms"
        ids = client.conversation.ids
        assert len(set(ids)) == len(ids) == len(list(client.conversation)), "the conversation is inconsistent"
        assert set(client.active) <= client.phases.keys(), "an unknown response is active"
        assert client.creates_pending >= 0, "fewer than no responses are waited for"


__all__ = ["ClientFuzz"]
