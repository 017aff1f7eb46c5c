from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from itertools import pairwise
from typing import Any
from unittest import mock

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_nb.errors import ConfigurationError, ConnectionLost
from realtime_nb.testing.virtual_clock import VirtualClockLoop
from realtime_nb.transport.faults import Faults, FaultyNetwork
from realtime_nb.transport.memory import MemoryTransport, memory_pair
from realtime_nb.transport.network import (
    BURST_BYTES,
    NETWORKS,
    PACKET_BYTES,
    NetworkProfile,
    network_profile,
)
from realtime_nb.transport.network_http import NetworkTransport, openai_http_client

profiles = st.builds(
    NetworkProfile,
    name=st.just("any"),
    delay_ms=st.floats(0, 300),
    jitter_ms=st.floats(0, 100),
    loss=st.floats(0, 0.5),
    up_mbps=st.none() | st.floats(0.1, 100),
    down_mbps=st.none() | st.floats(0.1, 100),
    seed=st.integers(0, 99),
)


def virtually(work: Callable[[VirtualClockLoop], Coroutine[Any, Any, Any]]) -> Any:
    """Run on a virtual clock, which is `time.monotonic` for the transport, too."""
    loop = VirtualClockLoop()
    with mock.patch("realtime_nb.transport.faults.time", loop), asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(work(loop))


@contextlib.asynccontextmanager
async def connected(
    profile: NetworkProfile, faults: Faults | None = None
) -> AsyncIterator[tuple[Any, MemoryTransport]]:
    near, far = memory_pair()

    async def open_near() -> MemoryTransport:
        return near

    transport = await FaultyNetwork(open_near, faults or Faults(), network=profile).open()
    try:
        yield transport, far
    finally:
        await transport.aclose()


# --- one direction ----------------------------------------------------------------------------------------------


@given(profiles, st.lists(st.tuples(st.floats(0, 0.2), st.integers(0, 60_000)), min_size=1, max_size=40))
def test_nothing_arrives_early_or_out_of_order(profile: NetworkProfile, messages: list[tuple[float, int]]) -> None:
    lane, now_s, last_s = profile.up(), 0.0, 0.0
    for pause_s, n_bytes in messages:
        now_s += pause_s
        arrival_s = lane.arrival_s(now_s, n_bytes)
        assert arrival_s >= now_s + profile.delay_ms / 1000 - 1e-9
        assert arrival_s >= last_s
        last_s = arrival_s


@given(st.floats(0.1, 100), st.lists(st.tuples(st.floats(0, 0.05), st.integers(1, 60_000)), min_size=2, max_size=60))
def test_no_stretch_of_time_carries_more_than_the_bandwidth(mbps: float, messages: list[tuple[float, int]]) -> None:
    lane, now_s, arrivals = NetworkProfile(name="narrow", down_mbps=mbps).down(), 0.0, []
    for pause_s, n_bytes in messages:
        now_s += pause_s
        arrivals.append((lane.arrival_s(now_s, n_bytes), n_bytes))
    for first in range(len(arrivals)):
        carried = 0
        for arrival_s, n_bytes in arrivals[first:]:
            carried += n_bytes
            stretch_s = arrival_s - arrivals[first][0]
            assert carried <= BURST_BYTES + arrivals[first][1] + stretch_s * mbps * 1e6 / 8 + 1


def test_a_long_upload_takes_its_bytes_by_the_bandwidth() -> None:
    lane = NetworkProfile(name="narrow", delay_ms=10, up_mbps=2).up()
    assert lane.arrival_s(5.0, 250_000 + BURST_BYTES) == pytest.approx(5.0 + 1.0 + 0.010)
    assert lane.arrival_s(5.0, 25_000) == pytest.approx(5.0 + 1.1 + 0.010), "and the next one queues behind it"


def test_the_extra_delay_is_exponential_with_the_mean_that_was_asked_for() -> None:
    lane = NetworkProfile(name="shaky", delay_ms=20, jitter_ms=15, seed=2).down()
    late_ms = np.array([(lane.arrival_s(t, 500) - t) * 1000 for t in np.arange(0, 4000, 2.0)])
    assert late_ms.min() >= 20
    assert late_ms.mean() == pytest.approx(35, abs=1.2)
    assert np.median(late_ms) == pytest.approx(20 + 15 * np.log(2), abs=1.2)


def test_a_lost_packet_is_late_and_blocks_what_is_behind_it() -> None:
    profile = NetworkProfile(name="lossy", delay_ms=30, loss=0.1, seed=1)
    lane = profile.down()
    arrivals = [(t, lane.arrival_s(t, 500)) for t in np.arange(0, 40, 0.02)]
    late_ms = np.array([(arrival - sent) * 1000 for sent, arrival in arrivals])
    on_time = late_ms < 30.001
    assert 0.2 < on_time.mean() < 0.75, "one loss delays about ten frames of 20 ms"
    assert late_ms.max() >= 229.9
    assert [a for _, a in arrivals] == sorted(a for _, a in arrivals)
    behind = [later for (now, later) in pairwise(arrivals) if now[1] - now[0] > 0.1]
    assert any(later[1] == now[1] for now, later in pairwise(arrivals)), "they arrive together"
    assert behind


def test_the_share_of_lost_packets_is_the_one_asked_for() -> None:
    lane = NetworkProfile(name="lossy", delay_ms=30, loss=0.05, seed=3).down()
    late = [lane.arrival_s(t, 500) - t > 0.031 for t in np.arange(0, 30_000, 10.0)]
    assert np.mean(late) == pytest.approx(0.05, abs=0.012)


def test_a_packet_lost_within_a_large_message_comes_back_within_a_round_trip() -> None:
    lanes = [NetworkProfile(name="lossy", delay_ms=30, loss=0.01, seed=seed).up() for seed in range(400)]
    late_ms = np.array([(lane.arrival_s(0.0, 40 * PACKET_BYTES)) * 1000 for lane in lanes])
    kinds, counts = np.unique(late_ms.round(3), return_counts=True)
    by_kind = dict(zip(kinds.tolist(), counts.tolist(), strict=True))
    assert by_kind[30.0] / 400 == pytest.approx(0.99**40, abs=0.08)
    assert by_kind[90.0] > by_kind[230.0], "fast retransmit is the rule, the timeout is for the last packets"


@given(profiles, st.integers(0, 2**30))
def test_the_seed_decides_everything(profile: NetworkProfile, seed: int) -> None:
    sizes = [random.Random(seed + i).randrange(20_000) for i in range(20)]
    runs = [[lane.arrival_s(i / 50, size) for i, size in enumerate(sizes)] for lane in (profile.up(1), profile.up(1))]
    assert runs[0] == runs[1]


# --- profiles ---------------------------------------------------------------------------------------------------


def test_the_named_networks_are_there_and_say_where_they_come_from() -> None:
    assert list(NETWORKS) == ["LAN", "home Wi-Fi", "conference Wi-Fi", "4G", "transatlantic"]
    assert all(profile.source and "(simulated)" in profile.label for profile in NETWORKS.values())
    assert NETWORKS["4G"].delay_ms * 2 == 170


@pytest.mark.parametrize("spelling", ["conference Wi-Fi", "Conference-WiFi", "conference_wifi"])
def test_names_are_found_in_any_spelling(spelling: str) -> None:
    assert network_profile(spelling) is NETWORKS["conference Wi-Fi"]


def test_no_network_and_unknown_networks() -> None:
    assert network_profile(None) is None
    assert network_profile("none") is None
    with pytest.raises(ConfigurationError, match=r"'carrier pigeon'.*home Wi-Fi"):
        network_profile("carrier pigeon")


@pytest.mark.parametrize("wrong", [{"loss": 1}, {"loss": -0.1}, {"delay_ms": -1}, {"jitter_ms": -1}, {"up_mbps": 0}])
def test_what_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        NetworkProfile(name="wrong", **wrong)  # type: ignore[arg-type]


# --- a session's transport --------------------------------------------------------------------------------------


@given(profiles, st.lists(st.integers(0, 5_000), max_size=30))
def test_every_frame_comes_out_once_and_in_order_both_ways(profile: NetworkProfile, sizes: list[int]) -> None:
    frames = [f"{number} " + "x" * size for number, size in enumerate(sizes)]

    async def talk(loop: VirtualClockLoop) -> None:
        async with connected(profile) as (transport, far):
            for frame in frames:
                await transport.send(frame)
                await far.send(frame)
            assert [await far.receive() for _ in frames] == frames
            assert [await transport.receive() for _ in frames] == frames

    virtually(talk)


def test_an_echo_takes_a_round_trip_and_opening_three() -> None:
    async def talk(loop: VirtualClockLoop) -> None:
        async with connected(NetworkProfile(name="far", delay_ms=100)) as (transport, far):
            assert loop.time() == pytest.approx(0.6, abs=0.002)
            began = loop.time()
            await transport.send("ping")
            assert await far.receive() == "ping"
            assert loop.time() - began == pytest.approx(0.1, abs=0.002)
            await far.send("pong")
            await transport.receive()
            assert loop.time() - began == pytest.approx(0.2, abs=0.004)

    virtually(talk)


def test_frames_are_as_late_as_the_network_and_no_later() -> None:
    """The delay is there once, not once a frame."""

    async def talk(loop: VirtualClockLoop) -> None:
        async with connected(NetworkProfile(name="far", delay_ms=100)) as (transport, far):
            began = loop.time()

            async def speak() -> None:
                for number in range(20):
                    await far.send(str(number))
                    await asyncio.sleep(0.020)

            speaking = asyncio.create_task(speak())
            for number in range(20):
                assert await transport.receive() == str(number)
                assert loop.time() - began == pytest.approx(0.1 + number * 0.020, abs=0.003)
            await speaking

    virtually(talk)


def test_what_was_sent_before_the_close_arrives() -> None:
    async def talk(loop: VirtualClockLoop) -> None:
        async with connected(NetworkProfile(name="far", delay_ms=100)) as (transport, far):
            await transport.send("last words")
            await transport.aclose()
            assert await far.receive() == "last words"
            with pytest.raises(ConnectionLost):
                await far.receive()

    virtually(talk)


def test_a_cancelled_receive_loses_nothing() -> None:
    async def talk(loop: VirtualClockLoop) -> None:
        async with connected(NetworkProfile(name="far", delay_ms=100)) as (transport, far):
            await far.send("kept")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await transport.receive()
            assert await transport.receive() == "kept"

    virtually(talk)


def test_a_close_does_not_wait_for_a_peer_that_does_not_read() -> None:
    class Deaf(MemoryTransport):
        async def send(self, frame: str) -> None:
            await asyncio.Event().wait()

    async def talk(loop: VirtualClockLoop) -> None:
        async def open_deaf() -> Deaf:
            return Deaf()

        transport = await FaultyNetwork(open_deaf, Faults(), network=NetworkProfile(name="near")).open()
        await transport.send("hello?")
        await transport.aclose()
        assert loop.time() == pytest.approx(2.0, abs=0.01)
        assert len(asyncio.all_tasks()) == 1

    virtually(talk)


def test_faults_and_a_network_go_together() -> None:
    async def talk(loop: VirtualClockLoop) -> None:
        faults = Faults(cut_after_frames=2)
        async with connected(NetworkProfile(name="far", delay_ms=50), faults) as (transport, far):
            for frame in ("a", "b", "c"):
                await far.send(frame)
            assert [await transport.receive(), await transport.receive()] == ["a", "b"]
            with pytest.raises(ConnectionLost):
                await transport.receive()

    virtually(talk)


# --- HTTP -------------------------------------------------------------------------------------------------------


class Server(httpx.AsyncBaseTransport):
    """Answers with parts at given seconds after the request was whole; notes when that was."""

    def __init__(
        self, loop: VirtualClockLoop, parts: list[tuple[float, bytes]], fails: Exception | None = None
    ) -> None:
        self.loop = loop
        self.parts = parts
        self.fails = fails
        self.whole_at_s = 0.0
        self.body = b""
        self.closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        self.body = b"".join([part async for part in request.stream])
        self.whole_at_s = self.loop.time()
        return httpx.Response(200, stream=Answer(self))


class Answer(httpx.AsyncByteStream):
    def __init__(self, server: Server) -> None:
        self.server = server

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at_s, part in self.server.parts:
            await asyncio.sleep(max(0.0, self.server.whole_at_s + at_s - self.server.loop.time()))
            yield part
        if self.server.fails is not None:
            raise self.server.fails

    async def aclose(self) -> None:
        self.server.closed = True


def client(server: Server, profile: NetworkProfile) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=NetworkTransport(server, profile), timeout=None)


def test_a_request_takes_a_round_trip_and_its_bytes() -> None:
    async def talk(loop: VirtualClockLoop) -> None:
        server = Server(loop, [(0.0, b"ok")])
        async with client(server, NetworkProfile(name="far", delay_ms=100, up_mbps=1)) as http:
            answer = await http.post("http://far.test/", content=b"x" * 125_000)
            assert answer.content == b"ok"
            assert server.body == b"x" * 125_000
            assert server.whole_at_s == pytest.approx(0.1 + 1 - BURST_BYTES / 125_000, abs=0.01)
            assert loop.time() == pytest.approx(server.whole_at_s + 0.1, abs=0.001)

    virtually(talk)


def test_parts_of_a_request_wait_once_for_the_network() -> None:
    async def talk(loop: VirtualClockLoop) -> None:
        async def parts() -> AsyncIterator[bytes]:
            for _ in range(10):
                yield b"x" * 100

        server = Server(loop, [(0.0, b"ok")])
        async with client(server, NetworkProfile(name="far", delay_ms=100)) as http:
            await http.post("http://far.test/", content=parts())
            assert server.whole_at_s == pytest.approx(0.1, abs=0.001)

    virtually(talk)


def test_parts_of_an_answer_are_late_once_however_slow_they_are_taken() -> None:
    async def talk(loop: VirtualClockLoop) -> None:
        server = Server(loop, [(0.02 * number, b"x" * 960) for number in range(20)])
        async with client(server, NetworkProfile(name="far", delay_ms=100)) as http:
            async with http.stream("GET", "http://far.test/") as answer:
                came = [loop.time() async for _ in answer.aiter_raw()]
            assert came == pytest.approx([0.2 + 0.02 * number for number in range(20)], abs=0.002)
            assert server.closed

    virtually(talk)


@given(profiles, st.lists(st.tuples(st.floats(0, 0.1), st.binary(min_size=1, max_size=4000)), max_size=15))
def test_answers_are_whole_and_in_order(profile: NetworkProfile, parts: list[tuple[float, bytes]]) -> None:
    async def talk(loop: VirtualClockLoop) -> None:
        timed, at_s = [], 0.0
        for pause_s, part in parts:
            at_s += pause_s
            timed.append((at_s, part))
        server = Server(loop, timed)
        async with client(server, profile) as http:
            assert (await http.get("http://far.test/")).content == b"".join(part for _, part in parts)

    virtually(talk)


def test_an_answer_that_breaks_breaks_after_what_came_before() -> None:
    async def talk(loop: VirtualClockLoop) -> None:
        server = Server(loop, [(0.0, b"some")], httpx.ReadError("cut"))
        async with client(server, NetworkProfile(name="far", delay_ms=50)) as http:
            came = b""
            with pytest.raises(httpx.ReadError):
                async with http.stream("GET", "http://far.test/") as answer:
                    async for part in answer.aiter_raw():
                        came += part
            assert came == b"some"
            assert server.closed
            assert len(asyncio.all_tasks()) == 1

    virtually(talk)


def test_a_request_given_up_leaves_nothing() -> None:
    async def talk(loop: VirtualClockLoop) -> None:
        server = Server(loop, [(10.0, b"late")])
        async with client(server, NetworkProfile(name="far", delay_ms=50)) as http:
            for patience_s in (0.02, 0.07, 5.0):
                began = loop.time()
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(patience_s):
                        await http.get("http://far.test/")
                assert loop.time() - began == pytest.approx(patience_s, abs=0.001)
                assert len(asyncio.all_tasks()) == 1
            assert server.closed

    virtually(talk)


def test_connections_share_the_bandwidth() -> None:
    async def talk(loop: VirtualClockLoop) -> None:
        server = Server(loop, [])
        async with client(server, NetworkProfile(name="narrow", up_mbps=1)) as http:
            await asyncio.gather(*(http.post("http://far.test/", content=b"x" * 62_500) for _ in range(4)))
            assert loop.time() == pytest.approx(2.0 - BURST_BYTES / 125_000, abs=0.02)

    virtually(talk)


@contextlib.contextmanager
def stub_server() -> Iterator[str]:
    """A real HTTP server on the loopback interface that keeps connections open."""
    import http.server
    import threading

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = b'{"object": "list", "data": [{"id": "one", "object": "model"}]}'
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()
            thread.join()


def test_the_official_sdk_goes_through_it_and_a_new_connection_costs_its_set_up() -> None:
    import openai

    waits: list[float] = []
    really = asyncio.sleep

    async def noted(delay_s: float, *rest: Any) -> None:
        waits.append(delay_s)
        await really(0)

    async def talk(url: str) -> tuple[list[float], list[float]]:
        http = openai_http_client(NetworkProfile(name="far", delay_ms=100))
        async with openai.AsyncOpenAI(base_url=url, api_key="none", http_client=http, max_retries=0) as sdk:
            taken: list[list[float]] = []
            for _ in range(2):
                waits.clear()
                models = await sdk.models.list()
                assert [model.id for model in models.data] == ["one"]
                taken.append([wait for wait in waits if wait > 0.05])
            return taken[0], taken[1]

    with stub_server() as url, mock.patch("realtime_nb.transport.network_http.asyncio.sleep", noted):
        first, second = asyncio.run(talk(url))
    assert sorted(first)[-2:] == pytest.approx([0.1, 0.4], abs=0.001), "TCP and TLS, once"
    assert max(second) == pytest.approx(0.1, abs=0.001)


def test_without_a_network_the_sdk_gets_its_usual_client() -> None:
    import openai

    http = openai_http_client("none")
    assert isinstance(http, openai.DefaultAsyncHttpxClient)
    asyncio.run(http.aclose())
