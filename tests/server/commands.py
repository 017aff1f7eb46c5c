"""`realtime-nb serve` as a real process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.server.talking import PATIENCE_S

START_PATIENCE_S = 60.0


class Served:
    """A running server.

    Attributes:
        url: what it printed, the base URL.
        process: itself.
    """

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal and return (exit status, what it wrote to stderr)."""
        self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE_S):
            _, stderr = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, stderr.decode()


async def run(*arguments: str) -> tuple[int, str]:
    """Run `realtime-nb` to its end and return (exit status, stderr)."""
    process = await _spawn(*arguments)
    async with asyncio.timeout(START_PATIENCE_S):
        _, stderr = await process.communicate()
    assert process.returncode is not None
    return process.returncode, stderr.decode()


@asynccontextmanager
async def served(*arguments: str) -> AsyncIterator[Served]:
    """Run `realtime-nb serve` on a free port until the block ends."""
    process = await _spawn("serve", "--port", "0", *arguments)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_PATIENCE_S):
            line = (await process.stdout.readline()).decode().strip()
        assert line.startswith("listening on http://127.0.0.1:"), line
        assert line.endswith("/v1")
        yield Served(process, line.removeprefix("listening on "))
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await process.communicate()
            except TimeoutError:
                process.kill()
                await process.wait()


async def _spawn(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "realtime_nb.cli", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    )
