"""What only the client's machine knows: what may be sent now, and how much audio came."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from realtime_nb.errors import LocalProtocolError
from realtime_nb.protocol import client_events as ce
from realtime_nb.protocol import server_events as se
from realtime_nb.protocol.client import ClientProtocol
from realtime_nb.protocol.playback import PlaybackKey
from realtime_nb.protocol.response import ResponseOptions
from realtime_nb.protocol.server import ResponseRequested, ServerProtocol
from realtime_nb.protocol.server_response import ServerResponse
from realtime_nb.protocol.session_config import AudioPcmu, SessionConfig


def machines() -> tuple[ClientProtocol, ServerProtocol]:
    client, server = ClientProtocol(), ServerProtocol(SessionConfig(id="sess_1", model="m", expires_at=1))
    server.open()
    pump(client, server)
    return client, server


def pump(client: ClientProtocol, server: ServerProtocol) -> list[ServerResponse]:
    requested: list[ServerResponse] = []
    for _ in range(4):
        for frame in client.data_to_send():
            requested += [a.response for a in server.receive(frame) if isinstance(a, ResponseRequested)]
        for frame in server.data_to_send():
            client.receive(frame)
    return requested


@pytest.mark.parametrize(("options", "bytes_per_ms"), [(None, 48), ({"format": {"type": "audio/pcmu"}}, 8)])
def test_audio_is_counted_in_the_format_of_its_own_response(
    options: dict[str, object] | None, bytes_per_ms: int
) -> None:
    client, server = machines()
    event = ce.ResponseCreate()
    if options:
        event.response = ResponseOptions(audio={"output": options})  # type: ignore[arg-type]
    client.send(event)
    (response,) = pump(client, server)
    item_id = response.begin_message()
    response.audio(bytes(bytes_per_ms * 500))
    pump(client, server)
    assert client.playback.received_ms(PlaybackKey(item_id)) == 500
    if options:
        assert isinstance(client.output_format(response.id), AudioPcmu)


def test_audio_that_was_fetched_is_not_kept_for_the_whole_session() -> None:
    client, server = machines()
    client.send(ce.ResponseCreate())
    (response,) = pump(client, server)
    item_id = response.begin_message()
    response.transcript("one two")
    response.audio(bytes(48 * 500))
    response.complete()
    pump(client, server)
    client.send(ce.ConversationItemRetrieve(item_id=item_id))
    for frame in client.data_to_send():
        server.receive(frame)
    (frame,) = server.data_to_send()
    event = client.receive(frame)
    assert isinstance(event, se.ConversationItemRetrieved)
    assert len(event.item.content[0].audio) == 48 * 500
    kept = client.conversation[item_id]
    assert (kept.content[0].audio, kept.content[0].transcript) == (UNSET, "one two")


def test_a_second_response_is_refused_here_until_the_first_ended() -> None:
    client, server = machines()
    client.send(ce.ResponseCreate())
    with pytest.raises(LocalProtocolError, match="already being generated"):
        client.send(ce.ResponseCreate())
    (response,) = pump(client, server)
    with pytest.raises(LocalProtocolError, match=response.id):
        client.send(ce.ResponseCreate())
    client.send(ce.ResponseCreate(response=ResponseOptions(conversation="none")))
    response.complete()
    pump(client, server)
    client.send(ce.ResponseCreate())


def test_a_cancel_before_the_response_exists_is_remembered() -> None:
    client, server = machines()
    client.send(ce.ResponseCreate())
    assert client.send(ce.ResponseCancel()) == ""
    (response,) = pump(client, server)
    assert response.ended
    assert client.active == []
    with pytest.raises(LocalProtocolError) as refused:
        client.send(ce.ResponseCancel())
    assert refused.value.code == "response_cancel_not_active"


def test_truncating_beyond_what_came_is_refused_here() -> None:
    client, server = machines()
    client.send(ce.ResponseCreate())
    (response,) = pump(client, server)
    item_id = response.begin_message()
    response.audio(bytes(4800))
    response.complete()
    pump(client, server)
    with pytest.raises(LocalProtocolError, match="100 ms of audio"):
        client.send(ce.ConversationItemTruncate(item_id=item_id, content_index=0, audio_end_ms=101))
    client.send(ce.ConversationItemTruncate(item_id=item_id, content_index=0, audio_end_ms=100))
