"""What every client is put on: `realtime-nb serve` as users start it, a scripted chat model, and a recorder between."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.clients.chat_stub import ChatStub, assistant_words
from tests.clients.recorder import Recorder, Recording, strict

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("REALTIME_NB_PYTHON") or str(ROOT / ".venv" / "bin" / "python")
"""The interpreter that has realtime_nb; never the one that runs the clients."""
PATIENCE_S = float(os.environ.get("PATIENCE_S", "60"))
"""How long a test waits for something that must come; never how fast it must be."""
SEMANTIC_SILENCE_MS = 5000
"""Long enough for a turn to end by meaning, whatever the words."""
FRAME_MS = 20
TONE_PACE = 5
WORD_MS = 225
"""About how long the scripted voice takes for a word, with the gap after it."""

STORY = (
    "Once there was a parrot who lived in a call centre. Every morning it said good morning to all of the agents. "
    "One day a caller asked the parrot for a refund. The parrot thought about it for quite a long while. "
    "Then it said that its call was very important to itself. And the caller is waiting there to this very day."
)
"""A reply of some fifteen seconds."""

T = TypeVar("T")


class Server:
    """A running `realtime-nb serve`.

    Attributes:
        url: its base URL.
        chat: the model behind it.
    """

    def __init__(self, process: asyncio.subprocess.Process, url: str, chat: ChatStub) -> None:
        self.process = process
        self.url = url
        self.chat = chat

    async def stop(self) -> tuple[int, str]:
        """End it as a service manager would and return (exit status, what it wrote to stderr)."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            _, stderr = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, stderr.decode()


@asynccontextmanager
async def serving(engine: str, *, stubbed: bool) -> AsyncIterator[Server]:
    """Run a server until the block ends; it must then stop cleanly and have had nothing to complain about."""
    async with ChatStub().running() as chat:
        process = await asyncio.create_subprocess_exec(
            *(PYTHON, "-m", "realtime_nb.cli", "serve", "--port", "0", "--engine", engine),
            *(("--chat", chat.url) if stubbed else ()),
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            async with asyncio.timeout(PATIENCE_S):
                line = (await process.stdout.readline()).decode().strip()
            assert line.startswith("listening on "), line
            server = Server(process, line.removeprefix("listening on "), chat)
            yield server
            assert await server.stop() == (0, "")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


class Stage:
    """One test's way to the server.

    Attributes:
        url: a base URL, "ws://127.0.0.1:PORT/v1".
        chat: scripted by the test.
        recordings: one per connection.
        may_be_refused: codes of refusals that a client's own race can bring about; any other fails the test.
    """

    def __init__(self, server: Server, recorder: Recorder) -> None:
        self.may_be_refused: set[str] = set()
        self.chat = server.chat
        self.url = recorder.url
        self.recordings = recorder.recordings

    @property
    def http_url(self) -> str:
        """For clients that ask for an HTTP base URL."""
        return self.url.replace("ws", "http", 1)

    @property
    def wire(self) -> Recording:
        """The only connection."""
        (recording,) = self.recordings
        return recording

    def check(self) -> None:
        """Every frame as the SDK's strict types want it, no refusal, one end per response, a clean close."""
        for recording in self.recordings:
            for event in recording.received:
                strict().validate_python(event)
            refused = [event["error"] for event in recording.of("error")]
            assert [error for error in refused if error["code"] not in self.may_be_refused] == []
            created = [event["response"]["id"] for event in recording.of("response.created")]
            assert sorted(response["id"] for response in recording.responses) == sorted(created)
            assert recording.close_code in (1000, 1001, 1005)

    def show(self) -> None:
        """Print what went over the wire; pytest shows it when a test fails."""
        for recording in self.recordings:
            for direction, event in recording.frames:
                if not event["type"].endswith(("delta", "append")):
                    print(direction, json.dumps(event)[:400])

    async def closed(self) -> None:
        """Wait until the client has closed every connection."""
        await eventually(lambda: all(recording.close_code is not None for recording in self.recordings))

    async def was_cut(self, story: str = STORY) -> dict[str, Any]:
        """Wait until the story was truncated and the model was asked again, and return the truncate event.

        The server must have cut what it sent, and the model must be told only the words before the cut.
        """
        cut: dict[str, Any] = (await eventually(lambda: self.wire.of("conversation.item.truncated")))[0]
        sent_ms = self.wire.audio_ms(cut["item_id"])
        assert 0 < cut["audio_end_ms"] < sent_ms
        told = await eventually(lambda: assistant_words(self.chat.requests[-1]))
        words = told[-1].split()
        assert words == story.split()[: len(words)]
        assert 0 < len(words) < len(story.split())
        assert abs(len(words) - cut["audio_end_ms"] / WORD_MS) < 3
        return cut


@asynccontextmanager
async def staged(server: Server) -> AsyncIterator[Stage]:
    """A stage for one test, checked at its end."""
    server.chat.requests.clear()
    async with Recorder(server.url).running() as recorder:
        stage = Stage(server, recorder)
        try:
            yield stage
            await stage.closed()
        finally:
            stage.show()
        stage.check()


async def eventually(probe: Callable[[], T], *, what: str = "") -> T:
    """Wait until `probe` returns something true, and return it."""
    ends = time.monotonic() + PATIENCE_S
    while not (value := probe()):
        assert time.monotonic() < ends, what or f"never came: {probe}"
        await asyncio.sleep(0.02)
    return value


async def playing_for(played_ms: int) -> None:
    """Let time pass, for clients that take what the wall clock says for heard. More than asked does no harm."""
    await asyncio.sleep(played_ms / 1000)


def tone(duration_ms: int) -> bytes:
    """24 kHz PCM16 that a detector by energy takes for speech: a square wave of 400 Hz."""
    period = b"\x00\x20" * 30 + b"\x00\xe0" * 30
    return (period * (duration_ms * 24 // 60 + 1))[: duration_ms * 48]


def silence(duration_ms: int) -> bytes:
    return bytes(duration_ms * 48)


def clip(name: str) -> bytes:
    """A bundled recording, 24 kHz PCM16."""
    path = next((ROOT / "realtime_nb" / "clips").rglob(f"{name}*.wav"))
    with wave.open(str(path)) as audio:
        return audio.readframes(audio.getnframes())


async def speak(
    append: Callable[[bytes], Awaitable[Any]], speech: bytes | None = None, *, silence_ms: int = 1400
) -> None:
    """Say something and then keep silent long enough for the turn to end.

    A recording takes as long as it does; without one it is a tone, faster than real time, for detectors by energy.
    """
    pace = 1 if speech is not None else TONE_PACE
    audio = (tone(700) if speech is None else speech) + silence(silence_ms)
    loop = asyncio.get_running_loop()
    began = loop.time()
    step = FRAME_MS * 48
    for start in range(0, len(audio), step):
        await append(audio[start : start + step])
        await asyncio.sleep(began + (start + step) / 48_000 / pace - loop.time())
