"""From a session's turn to its stages: what the wire said, what a player said, and the sound itself."""

from __future__ import annotations

from collections.abc import Iterator

from realtime_nb.audio.speech_bounds import FRAME_MS as SPEECH_FRAME_MS
from realtime_nb.audio.speech_bounds import speech_bounds_ms
from realtime_nb.timing.ideal_player import FRAME_MS, SAMPLE_RATE_HZ, IdealPlayer
from realtime_nb.timing.marks import Marks, Moment, MomentName, Timeline, timeline

from .event_log import LoggedEvent
from .turn import Rendered, Turn

NO_PLAYER = "no loudspeaker was attached that says what it rendered"
NOT_HEARD = "it was cut before it sounded"
INAUDIBLE = "nothing in the answer's audio is loud enough to be heard"
SAMPLES_PER_MS = SAMPLE_RATE_HZ / 1000

_RECEIVED: dict[str, MomentName] = {
    "input_audio_buffer.speech_stopped": "speech_stopped",
    "input_audio_buffer.committed": "committed",
    "conversation.item.input_audio_transcription.completed": "transcript",
}
_AUDIO = ("response.output_audio.delta", "response.audio.delta")


def turn_timeline(turn: Turn) -> Timeline:
    """Return where the time of a turn went, from the question that caused it, on the session's clock."""
    return timeline(turn_marks(turn), "realtime")


def turn_marks(turn: Turn) -> Marks:
    """Return a turn's moments.

    The end of the user's speech is the clip's own where one was played, else found by energy in the user's audio and
    said to be derived. The transcript is parallel: a recogniser beside the model made it.
    """
    marks = Marks(parallel=("transcript",))
    asked, steps = turn, [turn]
    while asked.cause is not None:
        asked = asked.cause
        steps.append(asked)
    _mark_question(marks, asked, turn)
    for step in steps:
        for logged in step.events:
            _mark_event(marks, logged)
    outputs = [logged.time_ms for step in steps for logged in step.events if _is_tool_output(logged)]
    if outputs and asked is not turn:
        marks.set("tool_output", max(outputs))
    for name in ("first_text", "first_audio"):
        at_ms = getattr(turn.marks, f"{name}_ms")
        if at_ms is not None:
            marks.set(name, at_ms)
    _mark_sound(marks, turn)
    return marks


def _mark_question(marks: Marks, asked: Turn, turn: Turn) -> None:
    said, ended_ms = asked.user_audio, asked.marks.user_audio_end_ms
    known_ms = asked.marks.speech_end_ms if asked.marks.speech_end_ms is not None else turn.marks.speech_end_ms
    if known_ms is not None:
        marks.set("speech_end", known_ms)
    elif said is None or ended_ms is None:
        marks.cannot("speech_end", "nothing was asked aloud")
    elif (bounds := speech_bounds_ms(said.samples, said.sample_rate_hz)) is None:
        marks.cannot("speech_end", "nothing in the user's audio stands out as speech")
    else:
        end_ms = ended_ms - (said.duration_ms - bounds[1])
        marks.set("speech_end", end_ms, error_ms=SPEECH_FRAME_MS, source="derived")


def _mark_event(marks: Marks, logged: LoggedEvent) -> None:
    kind = logged.event_type
    if logged.direction == "sent":
        if kind == "input_audio_buffer.commit":  # push-to-talk: the user said that the speech was over
            marks.set("speech_stopped", logged.time_ms)
    elif kind in _RECEIVED:
        marks.set(_RECEIVED[kind], logged.time_ms)
    elif kind == "response.output_item.done" and _item_type(logged) == "function_call":
        marks.set("tool_call", logged.time_ms)


def _is_tool_output(logged: LoggedEvent) -> bool:
    if logged.direction != "sent" or logged.event_type != "conversation.item.create":
        return False
    return _item_type(logged) == "function_call_output"


def _item_type(logged: LoggedEvent) -> object:
    item = logged.event.get("item")
    return item.get("type") if isinstance(item, dict) else None


def _mark_sound(marks: Marks, turn: Turn) -> None:
    player = IdealPlayer()
    for arrived_ms, pcm16 in _pieces(turn):
        if player.take(pcm16, arrived_ms):
            break
    if player.began_ms is None:
        return
    if player.audible_ms is None or player.audible_sample is None:
        marks.cannot("first_audible", INAUDIBLE)
        marks.cannot("rendered", INAUDIBLE)
        return
    marks.set("first_audible", player.audible_ms, error_ms=FRAME_MS, source="derived")
    found = rendered_moment(turn.rendered, player.audible_sample)
    if found is None:
        marks.cannot("rendered", NOT_HEARD if turn.rendered else NO_PLAYER)
    else:
        marks.moments["rendered"] = found


def rendered_moment(reports: list[Rendered], sample: int) -> Moment | None:
    """Return when a sample of the answer's first part left the loudspeaker, None when no report says.

    The first report beyond the sample tells, less the sound between the two.
    """
    found = next((report for report in reports if report.n_samples > sample), None)
    if found is None or found.key != reports[0].key:
        return None
    return Moment(found.time_ms - (found.n_samples - sample) / SAMPLES_PER_MS, found.error_ms + FRAME_MS)


def _pieces(turn: Turn) -> Iterator[tuple[float, bytes]]:
    """Yield the answer's audio as it arrived. Deltas hold equal shares of it for equal lengths in any wire format."""
    deltas = [logged for logged in turn.events if logged.event_type in _AUDIO and logged.audio_left_out_bytes]
    total = sum(logged.audio_left_out_bytes for logged in deltas)
    pcm16 = turn.audio.pcm16_bytes() if deltas else b""
    done = 0
    for logged in deltas:
        start, done = done, done + logged.audio_left_out_bytes
        first, last = (len(pcm16) * at // total // 2 * 2 for at in (start, done))
        yield logged.time_ms, pcm16[first:last]
