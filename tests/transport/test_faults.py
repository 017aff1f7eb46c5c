from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any
from unittest import mock

import pytest

from realtime_nb.errors import ConfigurationError, ConnectionLost, ConnectionRefused
from realtime_nb.testing.faults import Faults, FaultyNetwork, FaultyTransport
from realtime_nb.testing.virtual_clock import VirtualClockLoop
from realtime_nb.transport.base import Transport
from realtime_nb.transport.memory import MemoryTransport, memory_pair

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def network(faults: Faults) -> AsyncIterator[tuple[Transport, MemoryTransport]]:
    near, far = memory_pair()

    async def open_near() -> Transport:
        return near

    transport = await FaultyNetwork(open_near, faults).open()
    try:
        yield transport, far
    finally:
        await transport.aclose()


async def received(faults: Faults, frames: list[str]) -> list[str]:
    """What comes out of the receiving side until the server closes."""
    async with network(faults) as (transport, far):
        for frame in frames:
            await far.send(frame)
        await far.aclose()
        out = []
        with contextlib.suppress(ConnectionLost):
            while True:
                out.append(str(await transport.receive()))
        return out


FRAMES = [f"frame {number}" for number in range(200)]


async def test_no_faults_change_nothing() -> None:
    assert await received(Faults(), FRAMES) == FRAMES


async def test_lost_frames_are_missing_and_the_rest_is_in_order() -> None:
    out = await received(Faults(loss=0.3, seed=3), FRAMES)
    assert 100 < len(out) < 180
    assert out == sorted(out, key=lambda frame: int(frame.split()[1]))


async def test_duplicates_and_swaps() -> None:
    out = await received(Faults(duplicate=0.2, seed=4), FRAMES)
    assert 210 < len(out) < 280
    assert set(out) == set(FRAMES)
    swapped = await received(Faults(reorder=0.3, seed=5), FRAMES)
    assert sorted(swapped) == sorted(FRAMES)
    assert swapped != FRAMES


DELTA = '{"type":"response.output_audio.delta","delta":"%d"}'
KINDS: list[dict[str, Any]] = [
    {"loss": 0.3},
    {"duplicate": 0.3},
    {"reorder": 0.3},
    {"malformed": 0.3},
    {"delay_ms": 20, "jitter_ms": 50},
    {"slow_consumer_ms": 10},
    {"cut_after_frames": 7},
    {"cut_mid_delta": 7},
    {"expire_after_frames": 7},
    {"direction": "received", "loss": 0.3},
    {"direction": "sent", "loss": 0.3},
]
CHANCES: dict[str, Any] = {"loss": 0.2, "duplicate": 0.2, "reorder": 0.2, "malformed": 0.2, "jitter_ms": 5}


async def passed(near: Transport, far: Transport, *, by_near: bool) -> list[str]:
    """What arrives of some frames, and how it ends, when the sender closes."""
    sender, receiver = (near, far) if by_near else (far, near)
    out = []
    with contextlib.suppress(ConnectionLost):
        for number in range(40):
            await sender.send(DELTA % number)
    closing = asyncio.create_task(sender.aclose())
    try:
        while True:
            out.append(str(await receiver.receive()))
    except ConnectionLost as lost:
        out.append(str(lost.code))
    await closing
    await near.aclose()
    return out


def talked(faults: Faults, *, serving: bool, to_client: bool) -> tuple[list[str], float]:
    """The frames that arrive through faults at the server's end or at the client's, and when the last one did."""

    async def talk() -> list[str]:
        client, server = memory_pair()
        if serving:
            near = FaultyTransport(server, faults, seed=faults.seed + 1, server_side=True)
            return await passed(near, client, by_near=to_client)

        async def opened() -> Transport:
            return client

        return await passed(await FaultyNetwork(opened, faults).open(), server, by_near=not to_client)

    loop = VirtualClockLoop()
    with mock.patch("realtime_nb.transport.faults.time", loop), asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(talk()), loop.time()


@pytest.mark.parametrize("mixed", [{}, CHANCES])
@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("to_client", [True, False])
def test_the_same_seed_and_frames_give_the_same_faults_on_either_side(
    kind: dict[str, Any], mixed: dict[str, Any], to_client: bool
) -> None:
    for seed in range(5):
        faults = Faults(**{**mixed, **kind, "seed": seed})
        served = talked(faults, serving=True, to_client=to_client)
        met = talked(faults, serving=False, to_client=to_client)
        assert served == talked(faults, serving=True, to_client=to_client)
        assert met == talked(faults, serving=False, to_client=to_client)
        assert served[0] == met[0]


def test_other_seeds_and_the_other_direction_have_other_faults() -> None:
    ways = [
        talked(Faults(loss=0.3, seed=seed), serving=False, to_client=to_client)[0]
        for seed in range(3)
        for to_client in (True, False)
    ]
    assert len({tuple(way) for way in ways}) == 6


async def test_what_was_sent_before_the_close_arrives() -> None:
    async with network(Faults(delay_ms=20, reorder=1, direction="sent")) as (transport, far):
        await transport.send("last")
        await transport.aclose()
        assert await far.receive() == "last"


@pytest.mark.parametrize("chance", [{"loss": 1}, {"duplicate": 1}, {"reorder": 1}, {"malformed": 1}])
async def test_chances_spare_the_opening_both_ways(chance: dict[str, float]) -> None:
    received_opening = ['{"type":"session.created"}', '{"event_id":"e","type":"session.updated"}']
    sent_opening = '{"type":"session.update","session":{}}'
    async with network(Faults(**chance)) as (transport, far):  # type: ignore[arg-type]
        await far.send(received_opening[0])
        await transport.send(sent_opening)
        async with asyncio.timeout(20):
            assert await transport.receive() == received_opening[0]
            assert await far.receive() == sent_opening
            await far.send(received_opening[1])
            assert await transport.receive() == received_opening[1]
    again = [received_opening[1], "a", "b"]
    assert (await received(Faults(**chance), [*received_opening, *again]))[2:] != again  # type: ignore[arg-type]


async def test_a_refusal_of_the_first_settings_is_not_lost_but_later_errors_are() -> None:
    error = '{"type":"error","error":{}}'
    assert await received(Faults(loss=1), ['{"type":"session.created"}', error, error]) == [
        '{"type":"session.created"}',
        error,
    ]
    assert await received(Faults(loss=1), ["{}", error]) == []


async def test_delay_and_jitter_keep_the_order() -> None:
    out = await received(Faults(delay_ms=5, jitter_ms=5), FRAMES[:50])
    assert out == FRAMES[:50]


async def test_a_cut_in_the_middle_of_the_audio() -> None:
    delta = '{"type":"response.output_audio.delta","delta":"AAAA"}'
    async with network(Faults(cut_mid_delta=3)) as (transport, far):
        for _ in range(6):
            await far.send(delta)
        for _ in range(3):
            assert await transport.receive() == delta
        with pytest.raises(ConnectionLost) as lost:
            await transport.receive()
        assert lost.value.code == 1006
        with pytest.raises(ConnectionLost):
            await transport.send("late")


async def test_a_session_that_expires_says_so_and_closes_1001() -> None:
    async with network(Faults(expire_after_frames=1)) as (transport, far):
        await far.send("{}")
        await transport.receive()
        assert "session_expired" in str(await transport.receive())
        with pytest.raises(ConnectionLost) as lost:
            await transport.receive()
        assert lost.value.code == 1001


async def test_refusals_come_first_and_cuts_only_once() -> None:
    pairs = [memory_pair(), memory_pair()]
    nears = [near for near, _ in pairs]

    async def open_next() -> Transport:
        return nears.pop(0)

    flaky = FaultyNetwork(open_next, Faults(refuse=(429, 503), cut_after_frames=1))
    for status in ("429", "503"):
        with pytest.raises(ConnectionRefused, match=status):
            await flaky.open()
    first, second = await flaky.open(), await flaky.open()
    for _, far in pairs:
        await far.send("a")
        await far.send("b")
    assert await first.receive() == "a"
    with pytest.raises(ConnectionLost):
        await first.receive()
    assert [await second.receive(), await second.receive()] == ["a", "b"]
    await first.aclose()
    await second.aclose()


async def test_what_is_sent_suffers_too_unless_told_otherwise() -> None:
    for direction, expected in (("both", 0), ("sent", 0), ("received", 5)):
        async with network(Faults(loss=1.0, direction=direction)) as (transport, far):
            for frame in FRAMES[:5]:
                await transport.send(frame)
            for _ in range(20):
                await asyncio.sleep(0)
            assert far._incoming.qsize() == expected


async def test_a_closed_network_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    async with network(Faults(delay_ms=1000)) as (_, far):
        await far.send("x")
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("wrong", [{"loss": 2}, {"duplicate": -0.1}, {"delay_ms": -1}])
def test_what_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        Faults(**wrong)  # type: ignore[arg-type]
