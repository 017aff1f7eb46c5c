"""The signals that end a serving command, also on a loop that knows none."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest

from realtime_nb.cli_signals import stop_signal

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("windows", [False, True])
def test_a_signal_is_heard(number: signal.Signals, windows: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def heard() -> bool:
        if windows:
            monkeypatch.setattr(asyncio.get_running_loop(), "add_signal_handler", refuse)
        stop = stop_signal()
        assert not stop.is_set()
        signal.raise_signal(number)
        async with asyncio.timeout(30):
            return await stop.wait()

    before = [signal.getsignal(each) for each in NUMBERS]
    try:
        assert asyncio.run(heard())
    finally:
        for each, handler in zip(NUMBERS, before, strict=True):
            signal.signal(each, handler)


def refuse(*_: Any) -> None:
    raise NotImplementedError
