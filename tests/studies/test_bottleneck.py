"""A clip through text and back: with the scripted engines, and with servers that know less."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import numpy as np
import pytest

from realtime_nb.audio import AudioClip, bundled
from realtime_nb.engines import scripted
from realtime_nb.errors import RealtimeError
from realtime_nb.pipelines.stage_server import StageEndpoint
from realtime_nb.server.app import EmbeddedServer
from realtime_nb.studies.bottleneck import WORD_TIMES_MODEL, TextBottleneck, text_bottleneck

pytestmark = pytest.mark.anyio

JOKE, ORDER = bundled.clip("joke"), bundled.clip("order_status")


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "REALTIME_NB_URL", "REALTIME_NB_ENGINE"):
        monkeypatch.delenv(name, raising=False)


class OldServer(BaseHTTPRequestHandler):
    """A compatible server without word times, that speaks a tone."""

    text = "tell me a joke"
    asked: ClassVar[list[tuple[str, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.asked.append((self.path, body))
        if b"verbose_json" in body:
            self.answer(400, json.dumps({"error": {"message": "response_format is not supported"}}).encode())
        elif self.path.endswith("/transcriptions"):
            self.answer(200, json.dumps({"text": self.text}).encode())
        else:
            tone = 8000 * np.sin(2 * np.pi * 150 * np.arange(24_000) / 24_000)
            self.answer(200, tone.astype("<i2").tobytes() + b"\x00", "audio/pcm")  # half a sample too many

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def old_server() -> Iterator[StageEndpoint]:
    OldServer.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), OldServer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield StageEndpoint(url=f"http://127.0.0.1:{server.server_port}/v1", api_key="secret-key")
        server.shutdown()
        thread.join()


SENTENCE = "where is my order number four two seven one"


@pytest.fixture
async def embedded() -> AsyncIterator[StageEndpoint]:
    server = await EmbeddedServer.start(scripted.create(texts=[SENTENCE]))
    yield StageEndpoint(url=server.url, api_key=server.token, model="any")
    await server.aclose()


async def test_what_was_heard_is_spoken_again(embedded: StageEndpoint) -> None:
    passed = await text_bottleneck(ORDER, transcription=embedded, speech=embedded)
    assert passed.text == passed.spoken.transcript == SENTENCE
    assert [word for word, _, _ in passed.words] == [word for word, _, _ in passed.spoken_words] == SENTENCE.split()
    assert "Synthetic speech" in passed.spoken.origin
    assert passed.loss.original.clip == ORDER
    assert passed.loss.alignment.method == "words"
    for part in ("measured", "models asked for: any → any, voice alloy", "n = 1 clip", "machine: "):
        assert part in passed.provenance
    html = passed._repr_mimebundle_()["text/html"]
    assert html.count("<audio") == 2
    assert "as it was said" in html
    assert "after it was a text" in html


async def test_a_server_without_word_times_is_compared_by_sound(old_server: StageEndpoint) -> None:
    passed = await text_bottleneck(JOKE, transcription=old_server, speech=old_server, voice="echo")
    assert isinstance(passed, TextBottleneck)
    assert (passed.text, passed.words) == ("tell me a joke", ())
    assert passed.loss.alignment.method == "dtw"
    paths = [path for path, _ in OldServer.asked]
    assert paths.count("/v1/audio/transcriptions") == 4
    assert all(WORD_TIMES_MODEL.encode() in body for path, body in OldServer.asked if "transcriptions" in path)
    assert any(b'"echo"' in body for path, body in OldServer.asked if path.endswith("/speech"))
    assert "secret-key" not in repr(passed) + passed.provenance + str(passed._repr_mimebundle_())


async def test_a_model_that_was_named_is_the_one_that_is_asked(old_server: StageEndpoint) -> None:
    named = StageEndpoint(url=old_server.url, api_key="k", model="my-ears")
    await text_bottleneck(JOKE, transcription=named, speech=old_server)
    assert any(b"my-ears" in body for _, body in OldServer.asked)


async def test_no_words_is_an_error_that_names_the_clip(
    old_server: StageEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OldServer, "text", "")
    with pytest.raises(RealtimeError, match="No words were recognised in 'hum'"):
        hum = AudioClip(np.zeros(12_000, np.int16), title="hum")
        await text_bottleneck(hum, transcription=old_server, speech=old_server)


async def test_a_server_that_is_not_there_is_said() -> None:
    nowhere = StageEndpoint(url="http://127.0.0.1:9/v1", api_key="k")
    with pytest.raises(RealtimeError, match=r"transcription at http://127\.0\.0\.1:9/v1 cannot be reached"):
        await text_bottleneck(JOKE, transcription=nowhere, speech=nowhere)
