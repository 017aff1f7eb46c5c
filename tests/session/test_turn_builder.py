"""How many finished turns a session keeps."""

from __future__ import annotations

import pytest

from realtime_nb.session import turn_builder
from realtime_nb.testing.scripted_server import Reply, ScriptedServer
from tests.session.test_session import talking

pytestmark = pytest.mark.anyio

WORD_BYTES = 200 * 48


async def test_the_oldest_turns_go_when_their_audio_takes_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn_builder, "MAX_AUDIO_BYTES", 5 * WORD_BYTES)
    async with talking(ScriptedServer(Reply(text="hello there"))) as session:
        turns = [await session.ask(word) for word in ("one", "two", "three", "four")]
        assert [turn.user_transcript for turn in session.history] == ["three", "four"]
        assert list(session._owner.turns.turns.values()) == session.history
        assert all(turn.audio.duration_ms == 400 for turn in turns)  # who holds on to one has all of it


async def test_one_turn_is_kept_however_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn_builder, "MAX_AUDIO_BYTES", WORD_BYTES)
    async with talking(ScriptedServer(Reply(text="hello there"))) as session:
        await session.ask("one")
        turn = await session.ask("two")
        assert session.history == [turn]
