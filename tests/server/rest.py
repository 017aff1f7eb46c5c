"""The official SDK on a server of ours; what it is given is judged by its own types, strictly."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx
from openai import AsyncOpenAI, DefaultAsyncHttpxClient
from pydantic import BaseModel

from realtime_nb.audio import AudioClip
from realtime_nb.engines.base import EngineSet
from realtime_nb.server.app import EmbeddedServer
from tests.server.talking import serving, silence, tone

M = TypeVar("M", bound=BaseModel)


@asynccontextmanager
async def sdk(engines: EngineSet | None = None, **options: Any) -> AsyncIterator[tuple[AsyncOpenAI, EmbeddedServer]]:
    """A client that tries nothing twice, and its server."""
    async with serving(engines, **options) as server:
        # Nothing is encrypted here, and certificates take time to load.
        plain = DefaultAsyncHttpxClient(verify=False)
        async with AsyncOpenAI(base_url=server.url, api_key=server.token, max_retries=0, http_client=plain) as client:
            yield client, server


@asynccontextmanager
async def http(server: EmbeddedServer) -> AsyncIterator[httpx.AsyncClient]:
    """A bare client with the server's key."""
    headers = {"Authorization": f"Bearer {server.token}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30, verify=False) as client:
        yield client


def strictly(model: M) -> M:
    """Return what the SDK read if it is as its types say; the SDK itself takes anything."""
    return type(model).model_validate_json(model.to_json(), strict=True)


def events(body: str) -> list[Any]:
    """The events of a stream; "[DONE]" as it is."""
    lines = [line.removeprefix("data: ") for line in body.split("\n\n") if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def spoken(duration_ms: int = 800) -> bytes:
    """A WAV file with something that a detector by energy takes for speech, with silence around."""
    import numpy as np

    return AudioClip(np.concatenate([silence(200), tone(duration_ms), silence(200)])).to_wav_bytes()
