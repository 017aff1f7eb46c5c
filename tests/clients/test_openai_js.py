"""The `openai` package (JavaScript) on the REST endpoints; its stream helpers put answers together in their own way."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.chat_stub import Call, last_message, last_words
from tests.clients.stage import PATIENCE_S, ROOT, Server

pytestmark = pytest.mark.anyio

PROGRAM = Path(__file__).parent / "agents_js" / "rest.mjs"
RECORDING = next((ROOT / "realtime_nb" / "clips").rglob("order_status.wav"))
ANSWER = "It is on its way."


def answer(request: dict[str, Any]) -> list[Any]:
    last = last_message(request)
    if last["role"] == "tool":
        return [last["content"]]
    return [Call("order_status", {"order_number": 12})] if "Look up" in last_words(request) else [ANSWER]


async def reports(server: Server) -> dict[str, list[dict[str, Any]]]:
    """Run the program to its end and return what it reported, by event."""
    process = await asyncio.create_subprocess_exec(
        *("node", PROGRAM, server.url, RECORDING), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            stdout, stderr = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert (process.returncode, stderr.decode()) == (0, "")
    found: dict[str, list[dict[str, Any]]] = {}
    for line in stdout.splitlines():
        report = json.loads(line)
        found.setdefault(report.pop("event"), []).append(report)
    return found


async def test_the_rest_endpoints(scripted_server: Server) -> None:
    scripted_server.chat.requests.clear()
    scripted_server.chat.answer = answer
    found = await reports(scripted_server)
    assert found["models"] == [{"models": ["realtime-nb-scripted"]}]
    check_transcriptions(found)
    check_speech(found["speech"])
    check_chat(found)
    told = scripted_server.chat.requests
    remembered = next(request for request in told if last_words(request) == "Again.")
    assert [message["role"] for message in remembered["messages"]] == ["user", "assistant", "user"]
    assert remembered["messages"][1]["content"] == ANSWER
    assert found["tools"] == [{"content": "Order 12 is on its way."}]
    refused = {"name": "BadRequestError", "status": 400, "code": "invalid_value", "param": "voice"}
    assert found["refused"] == [refused]


def check_transcriptions(found: dict[str, list[dict[str, Any]]]) -> None:
    (transcription,), (verbose,), (transcript,) = found["transcription"], found["verbose"], found["transcript"]
    assert transcription["text"]
    assert transcription["usage"]["type"] == "tokens"
    assert [word["word"] for word in verbose["words"]] == verbose["text"].split()
    *deltas, done = transcript["events"]
    assert "".join(delta["delta"] for delta in deltas) == done["text"] != ""


def check_speech(speech: list[dict[str, Any]]) -> None:
    heads = {"opus": "OggS", "flac": "fLaC", "wav": "RIFF"}
    assert [one["format"] for one in speech] == ["mp3", "opus", "flac", "wav", "pcm"]
    for one in speech:
        assert one["bytes"] > 2_000
        assert one["type"].startswith("audio/")
        assert one["head"] == heads.get(one["format"], one["head"])


def check_chat(found: dict[str, list[dict[str, Any]]]) -> None:
    assert found["chat"][0]["choices"][0]["message"]["content"] == ANSWER
    streamed = found["streamed"][0]
    assert streamed["chunks"] > 5
    for completion in (found["answer"][0], streamed["completion"]):
        (choice,) = completion["choices"]
        audio = choice["message"]["audio"]
        assert (choice["finish_reason"], audio["transcript"]) == ("stop", ANSWER)
        assert len(base64.b64decode(audio["data"], validate=True)) / 48 > 800
        assert audio["id"].count("audio_") == 1
        assert audio["expires_at"] > 1_700_000_000


async def test_the_offline_engines(offline_server: Server) -> None:
    found = await reports(offline_server)
    assert "order" in found["transcription"][0]["text"]
    assert found["chat"][0]["choices"][0]["message"]["content"]
    for completion in (found["answer"][0], found["streamed"][0]["completion"]):
        assert len(base64.b64decode(completion["choices"][0]["message"]["audio"]["data"])) / 48 > 800
