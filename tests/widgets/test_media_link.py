"""The link between a browser and the kernel: who gets in, who carries the audio, what happens when it breaks."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from realtime_nb.widgets import media_link, messages
from realtime_nb.widgets.comm_socket import pin_comm_routing, refuse_broken_ipykernel
from realtime_nb.widgets.link_client import BinaryFrame, LinkClient
from realtime_nb.widgets.media_link import LinkHub, MediaLink
from tests.widgets.fake_browser import PAGE, STEP_TIMEOUT_S, CommBrowser, FakeBrowser

pytestmark = pytest.mark.anyio


class Listener:
    def __init__(self) -> None:
        self.joined: list[str] = []
        self.left: list[str] = []
        self.actives: list[str | None] = []
        self.messages: list[Any] = []
        self.frames: list[BinaryFrame] = []
        self.changed = asyncio.Condition()

    def on_join(self, client: LinkClient) -> None:
        self._note(self.joined, client.client_id)

    def on_leave(self, client: LinkClient) -> None:
        self._note(self.left, client.client_id)

    def on_active(self, client: LinkClient | None) -> None:
        self._note(self.actives, client and client.client_id)

    def on_message(self, client: LinkClient, message: Any) -> None:
        self._note(self.messages, message)

    def on_binary(self, client: LinkClient, frame: BinaryFrame) -> None:
        self._note(self.frames, frame)

    def _note(self, where: list[Any], what: Any) -> None:
        where.append(what)
        self._wake = asyncio.ensure_future(self._notify())

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(STEP_TIMEOUT_S), self.changed:
            await self.changed.wait_for(condition)


@pytest.fixture
async def hub():
    hub = LinkHub(hello_timeout_s=0.2)
    yield hub
    await hub.close()


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
async def link(hub, listener):
    link = MediaLink(hub, listener, ping_interval_s=0.02)
    yield link
    await link.close()


@contextlib.asynccontextmanager
async def browser(link: MediaLink, **options: Any):
    offer = await link.offer("asking", PAGE)
    view = FakeBrowser(offer, **options)
    await view.open()
    try:
        yield view
    finally:
        await view.close()


async def test_handshake_then_messages_both_ways(link, listener):
    async with browser(link) as view:
        ready = await view.wait("ready")
        assert ready == {"type": "ready", "client_id": view.client_id, "active": True, "version": 1}
        await view.send(type="microphone_state", state="live", stream_id=3)
        await view.send_binary(messages.KIND_MICROPHONE, 3, b"\x01\x02", sequence=7)
        await listener.until(lambda: listener.messages and listener.frames)
        assert listener.messages == [messages.MicrophoneState(state="live", stream_id=3)]
        assert listener.frames == [BinaryFrame(messages.KIND_MICROPHONE, 0, 3, 7, 0.0, b"\x01\x02")]
        link.broadcast(messages.Notice(level="info", message="hello"))
        assert (await view.wait("notice"))["message"] == "hello"
    await listener.until(lambda: listener.left == [view.client_id])
    assert listener.actives == [view.client_id, None]


async def test_wrong_token_is_refused_in_words(link):
    offer = await link.offer("asking", PAGE)
    view = FakeBrowser({**offer, "token": "x" * 43})
    await view.open()
    assert "token" in (await view.wait("refused"))["reason"]
    assert await view.closed() == 4401
    assert not link.clients


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None])
async def test_foreign_unknown_or_missing_origin_does_not_open(link, origin):
    offer = await link.offer("asking", PAGE)
    with pytest.raises(InvalidStatus) as refused:
        await FakeBrowser(offer, origin=origin).open()
    assert refused.value.response.status_code == 403


async def test_opaque_origin_is_never_learnt(link):
    offer = await link.offer("asking", "null")
    with pytest.raises(InvalidStatus):
        await FakeBrowser(offer, origin="null").open()


async def test_origin_of_another_widgets_page_needs_that_widgets_token(hub, link, listener):
    other = MediaLink(hub, Listener())
    await other.offer("asking", "http://other.example")
    offer = await link.offer("asking", PAGE)
    view = FakeBrowser(offer, origin="http://other.example")
    await view.open()
    assert await view.closed() == 4401
    await other.close()


@pytest.mark.parametrize("first", [None, "nonsense", '{"type":"pong","ping_id":1,"time_client_ms":1}', b"\x00" * 30])
async def test_no_proper_hello_is_closed_with_4401(link, first):
    view = FakeBrowser(await link.offer("asking", PAGE))
    await view.open_socket()
    if first is not None:
        await view.send_raw(first)
    assert await view.closed() == 4401
    assert not link.clients


async def test_other_link_version_is_refused(link):
    view = FakeBrowser(await link.offer("asking", PAGE))
    await view.open(version=99)
    assert "do not match" in (await view.wait("refused"))["reason"]
    assert await view.closed() == 4426


async def test_proxy_is_recognised_by_the_host_it_passes_on(link):
    view = FakeBrowser(await link.offer("asking", PAGE))
    await view.open_socket(through="localhost:8888")
    await view.send(type="hello", token=link.token, client_id=view.client_id, version=1)
    assert (await view.wait("link_measured"))["transport"] == "proxy"
    await view.close()


async def test_round_trip_and_clock_offset_are_measured(hub, listener):
    link = MediaLink(hub, listener, ping_interval_s=0.02, clock_ms=lambda: 5_000.0)
    async with browser(link) as view:
        view.clock_ms = lambda: 1_000.0
        measured = await view.wait("link_measured", lambda m: m["n"] >= 3)
        assert measured["transport"] == "direct"
        assert 0 < measured["round_trip_p50_ms"] <= measured["round_trip_p95_ms"]
        assert 0 < measured["offset_error_ms"] <= measured["round_trip_p50_ms"] / 2
    await link.close()


async def test_client_ping_is_answered(link):
    async with browser(link) as view:
        await view.send(type="client_ping", ping_id=9, time_client_ms=12.5)
        assert await view.wait("client_pong") == {"type": "client_pong", "ping_id": 9, "time_client_ms": 12.5}


async def test_second_view_is_passive_until_it_activates(link, listener):
    async with browser(link) as first, browser(link) as second:
        assert (await first.wait("ready"))["active"] is True
        assert (await second.wait("ready"))["active"] is False
        link.activate(second.client_id)
        assert (await first.wait("active"))["active"] is False
        assert (await second.wait("active"))["active"] is True
        await second.close()
        await first.wait("active", lambda m: m["active"])
        assert link.active is link.clients[first.client_id]
        assert listener.actives == [first.client_id, second.client_id, first.client_id]


async def test_lost_network_is_noticed_and_the_view_can_come_back(link, listener):
    offer = await link.offer("asking", PAGE)
    first = await FakeBrowser(offer, client_id="same").open()
    await first.wait("ready")
    first.cut()
    await listener.until(lambda: listener.left == ["same"])
    again = await FakeBrowser(offer, client_id="same").open()
    assert (await again.wait("ready"))["active"] is True
    await again.close()


async def test_same_view_by_another_way_replaces_its_old_link(link, listener):
    offer = await link.offer("asking", PAGE)
    old = await FakeBrowser(offer, client_id="same").open()
    await old.wait("ready")
    new = await FakeBrowser(offer, client_id="same").open()
    assert (await new.wait("ready"))["active"] is True
    assert await old.closed() == 4409
    assert list(link.clients) == ["same"]
    await new.send(type="microphone_state", state="live")
    await listener.until(lambda: listener.messages)
    await new.close()


async def test_unreadable_messages_are_told_once_and_hurt_nobody(link, listener):
    async with browser(link) as view:
        for bad in ("{", '{"type":"unheard_of"}', b"\x01"):
            await view.send_raw(bad)
        assert "cannot read" in (await view.wait("notice"))["message"]
        await view.send(type="microphone_state", state="stopped")
        await listener.until(lambda: listener.messages)
        assert len(view.all("notice")) == 1


async def test_too_large_a_message_closes_only_that_link(link, listener):
    async with browser(link) as view:
        await view.wait("ready")
        await view.send_raw(b"\x00" * (4 * 1024 * 1024 + 1))
        assert await view.closed() == 1009
    async with browser(link) as view:
        await view.wait("ready")


async def test_ninth_view_is_refused(link):
    offer = await link.offer("asking", PAGE)
    views = [await FakeBrowser(offer).open() for _ in range(8)]
    for view in views:
        await view.wait("ready")
    ninth = await FakeBrowser(offer).open()
    assert "views" in (await ninth.wait("refused"))["reason"]
    for view in [*views, ninth]:
        await view.close()


async def test_comm_carries_the_same_messages(link, listener):
    outgoing: asyncio.Queue[tuple[dict[str, Any], list[bytes] | None]] = asyncio.Queue()

    def send(content: dict[str, Any], buffers: list[bytes] | None) -> None:
        outgoing.put_nowait((content, buffers))

    offer = await link.offer("asking", PAGE)
    view = CommBrowser(offer, lambda content, buffers: link.receive_comm(content, buffers, send))

    async def deliver() -> None:
        while True:
            await view.take_comm(*await outgoing.get())

    delivery = asyncio.create_task(deliver())
    await view.open()
    assert (await view.wait("ready"))["active"] is True
    assert (await view.wait("link_measured"))["transport"] == "comm"
    await view.send_binary(messages.KIND_MICROPHONE, 1, b"\x05\x06")
    await listener.until(lambda: listener.frames)
    assert listener.frames[0].payload == b"\x05\x06"
    assert link.active is not None
    assert link.active.outbox.put_audio(4, "assistant", b"\x01\x00")
    await view.until(lambda: view.audio.get(4) == b"\x01\x00")
    link.receive_comm({"type": "link_bye", "client_id": view.client_id}, [], send)
    await listener.until(lambda: listener.left == [view.client_id])
    delivery.cancel()


async def test_a_machine_without_a_port_offers_the_comm(hub, link, listener, monkeypatch, caplog):
    async def start() -> None:
        raise OSError("Address already in use")

    monkeypatch.setattr(hub._server, "start", start)
    offer = await link.offer("view", PAGE)
    assert offer["port"] == 0
    assert "views use the comm" in caplog.text
    view = CommBrowser(offer, lambda content, buffers: link.receive_comm(content, buffers, lambda *_: None))
    await view.open()
    await listener.until(lambda: bool(listener.joined))


async def test_silent_comm_view_makes_room_for_one_that_speaks(link, listener, monkeypatch):
    monkeypatch.setattr(media_link, "SILENT_COMM_S", -1.0)

    def feed(content: dict[str, Any], buffers: list[bytes]) -> None:
        link.receive_comm(content, buffers, lambda *_: None)

    offer = await link.offer("asking", PAGE)
    gone = await CommBrowser(offer, feed, client_id="gone").open()
    await listener.until(lambda: listener.actives == ["gone"])
    await CommBrowser(offer, feed, client_id="here").open()
    await listener.until(lambda: listener.actives[-1] == "here" and listener.left == [gone.client_id])


async def test_comm_message_of_a_stranger_is_ignored(link, listener):
    link.receive_comm(
        {"type": "link", "client_id": "x", "text": '{"type":"microphone_state"}'}, [b"1"], lambda *_: None
    )
    async with browser(link) as view:
        await view.wait("ready")
    assert not listener.messages


async def test_dead_comm_ends_its_link(link, listener):
    def send(content: dict[str, Any], buffers: list[bytes] | None) -> None:
        raise RuntimeError("comm is closed")

    view = CommBrowser(
        await link.offer("asking", PAGE), lambda content, buffers: link.receive_comm(content, buffers, send)
    )
    await view.open()
    await listener.until(lambda: listener.left == [view.client_id])


async def test_close_leaves_no_task_and_no_port(hub, listener):
    before = asyncio.all_tasks()
    link = MediaLink(hub, listener, ping_interval_s=0.02)
    offer = await link.offer("asking", PAGE)
    view = await FakeBrowser(offer).open()
    await view.wait("ready")
    await link.close()
    await link.close()
    assert await view.closed() == 1000
    assert hub.port == 0
    with pytest.raises(OSError, match=r"refused|failed"):
        await asyncio.open_connection("127.0.0.1", offer["port"])
    await listener.until(lambda: listener.left == [view.client_id])
    left = {task for task in asyncio.all_tasks() - before if not task.done()}
    async with asyncio.timeout(STEP_TIMEOUT_S):
        while left:
            await asyncio.wait(left)
            left = {task for task in asyncio.all_tasks() - before if not task.done()}


async def test_offer_of_a_closed_link_opens_nothing(hub, listener):
    link = MediaLink(hub, listener)
    await link.close()
    assert (await link.offer("asking", PAGE))["port"] == 0


@pytest.mark.parametrize("version", [(7, 0, 0), (7, 0, 1)])
def test_ipykernel_7_0_is_refused_with_the_way_out(version):
    with pytest.raises(Exception, match=r"ipykernel 7\.0\.\d cannot.*pip install 'ipykernel>=7\.4'"):
        refuse_broken_ipykernel(version)


@pytest.mark.parametrize("version", [(), (6, 31, 0), (7, 1, 0), (7, 4, 0)])
def test_other_ipykernels_are_fine(version):
    refuse_broken_ipykernel(version)


def test_routing_pin_keeps_the_browsers_subshell():
    from ipykernel.comm.comm import BaseComm

    comm = BaseComm.__new__(BaseComm)
    pin_comm_routing(comm)
    assert comm._reply_subshell_for({"content": {}}, "subshell-1") == "subshell-1"
    bare = object()
    pin_comm_routing(bare)
