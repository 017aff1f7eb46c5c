"""The stages of a session's turn."""

from __future__ import annotations

import pytest

from realtime_nb.audio import AudioClip
from realtime_nb.protocol.playback import PlaybackKey
from realtime_nb.session.event_log import LoggedEvent
from realtime_nb.session.turn import Rendered, Turn
from realtime_nb.session.turn_timeline import INAUDIBLE, NO_PLAYER, turn_timeline
from tests.pipelines.tapped import question

TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


def received(time_ms: float, kind: str, audio_bytes: int = 0) -> LoggedEvent:
    return LoggedEvent(0, time_ms, "received", kind, "{}", audio_left_out_bytes=audio_bytes)


def sent(time_ms: float, kind: str, frame: str = "{}") -> LoggedEvent:
    return LoggedEvent(0, time_ms, "sent", kind, frame)


def asked_aloud() -> Turn:
    """A question of 900 ms that ended at 1,900 ms, its speech at 1,500; an answer with 100 ms of leading silence."""
    turn = Turn("resp_1", ["item_1"])
    turn.add_user_audio(question(300, 200, after_ms=400).pcm16_bytes())
    turn.marks.user_audio_end_ms = 1900.0
    turn.marks.first_audio_ms, turn.marks.first_text_ms = 2300.0, 2310.0
    answer = AudioClip.silence(100) + question(300, 0)
    turn.add_audio(answer.pcm16_bytes())
    turn.item_ids = ["item_2"]
    turn.events = [
        received(1910, "input_audio_buffer.speech_stopped"),
        received(1920, "input_audio_buffer.committed"),
        received(2300, "response.output_audio.delta", 9600),
        received(2350, "response.output_audio.delta", 9600),
        received(2400, TRANSCRIBED),
    ]
    return turn


def test_a_spoken_turn_is_laid_out_from_the_end_of_speech_to_the_first_sound() -> None:
    found = turn_timeline(asked_aloud())
    assert {stage.name: round(stage.duration_ms) for stage in found.stages} == {
        **{"vad_hold": 410, "commit": 10, "first_audio": 380, "leading_silence": 100}
    }
    assert found.voice_to_voice_ms == pytest.approx(900, abs=5.5)
    assert found.moments["speech_end"].source == "derived"
    assert found.unmeasured["rendered"] == NO_PLAYER
    assert set(found.beside) == {"transcript", "first_text"}
    assert found.flags == ()
    assert asked_aloud().timeline == found


def test_the_clips_own_end_is_better_than_energy() -> None:
    turn = asked_aloud()
    turn.marks.speech_end_ms = 1490.0
    assert turn.timeline.moments["speech_end"].time_ms == 1490.0
    assert turn.timeline.moments["speech_end"].source == "measured"


def test_a_players_report_says_when_it_left_the_loudspeaker() -> None:
    turn, key = asked_aloud(), PlaybackKey("item_2", 0)
    turn.rendered = [Rendered(key, 1200, 2500.0, 3.0), Rendered(key, 3600, 2600.0, 3.0)]
    found = turn.timeline
    assert found.ends_at == "rendered"
    assert found.moments["rendered"].time_ms == pytest.approx(2550, abs=1)
    assert found.moments["rendered"].error_ms == 8.0
    assert found.stage_ms("output") == pytest.approx(150, abs=1)


def test_an_answer_that_cannot_be_heard_says_so() -> None:
    turn = asked_aloud()
    turn._audio = bytearray(len(turn._audio))
    assert turn.timeline.unmeasured == {"first_audible": INAUDIBLE, "rendered": INAUDIBLE}
    assert turn.timeline.voice_to_voice_ms is None


def test_tools_are_stages_of_the_turn_that_speaks_of_their_results() -> None:
    first, second = asked_aloud(), asked_aloud()
    call = LoggedEvent(0, 2000, "received", "response.output_item.done", '{"item": {"type": "function_call"}}')
    first.events = [*first.events[:2], call]
    output = '{"item": {"type": "function_call_output"}}'
    second.events = [sent(2150, "conversation.item.create", output), *second.events[2:]]
    second.cause = first
    second.user_item_ids, second.marks.user_audio_end_ms = [], None
    found = second.timeline
    assert found.stage_ms("tool_choice") == pytest.approx(80)
    assert found.stage_ms("tool") == pytest.approx(150)
    assert found.stage_ms("first_audio") == pytest.approx(150)
    assert found.voice_to_voice_ms == pytest.approx(900, abs=5.5)


def test_a_typed_turn_says_that_nothing_was_asked_aloud() -> None:
    turn = Turn("resp_1", ["item_1"])
    assert turn.timeline.unmeasured["speech_end"] == "nothing was asked aloud"
    assert turn.timeline.stages == ()
