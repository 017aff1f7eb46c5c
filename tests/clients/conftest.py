"""One server per engine for all clients; a recorder per test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.clients.stage import Server, Stage, serving, staged


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
async def scripted_server(anyio_backend: str) -> AsyncIterator[Server]:
    async with serving("scripted", stubbed=True) as server:
        yield server


@pytest.fixture(scope="session")
async def offline_server(anyio_backend: str) -> AsyncIterator[Server]:
    async with serving("offline", stubbed=False) as server:
        yield server


@pytest.fixture
async def stage(scripted_server: Server) -> AsyncIterator[Stage]:
    async with staged(scripted_server) as stage:
        yield stage


@pytest.fixture
async def offline_stage(offline_server: Server) -> AsyncIterator[Stage]:
    async with staged(offline_server) as stage:
        yield stage
