from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from realtime_nb.audio import bundled
from realtime_nb.engines import scripted
from realtime_nb.server.app import EmbeddedServer
from realtime_nb.testing.conformance import Finding, Report, Verdict, run_conformance, target
from realtime_nb.testing.conformance.results import elided
from realtime_nb.testing.conformance.scenarios import ALL
from realtime_nb.testing.conformance.scenarios.out_of_reach import WHY
from tests.server.commands import served
from tests.testing.broken import Event, Fault, Spoiled, Swallowed, spoiling

pytestmark = pytest.mark.anyio

bundled.clips()  # files are read here, once, and not on a test's loop
PATIENCE_S = 20.0
IMPATIENCE_S = 5.0
"""For servers that leave something out: how long to wait for what never comes."""
LEFT_OUT = {"no item.done", "no response.done", "retrieve without an answer", "unknown parameters taken"}
"""Faults with which something is waited for in vain; with the others patience costs nothing."""


def named(*names: str) -> list[Any]:
    chosen = [one for one in ALL if one.name in names]
    assert len(chosen) == len(names)
    return chosen


def failures(report: Report) -> list[tuple[str, str]]:
    return [(one.event, one.field) for one in report.findings if one.verdict is Verdict.FAIL]


async def judge(fault: Callable[[], Fault], *scenarios: str, patience_s: float = PATIENCE_S) -> Report:
    server = await EmbeddedServer.start(scripted.create(), allow_any_key=True)
    try:
        async with spoiling(server.url, server.token, fault) as url:
            return await run_conformance(target(url, api_key="any", patience_s=patience_s), scenarios=named(*scenarios))
    finally:
        await server.aclose()


# --- ours ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ours() -> dict[str, Report]:
    """What is found with each of our engines; most of the time they speak, so both are judged at once."""

    async def judge_ours(engine: str) -> Report:
        async with served("--engine", engine, "--api-key", "right") as server:
            return await run_conformance(target(server.url, api_key="right", patience_s=PATIENCE_S), at_once=6)

    async def judge_both() -> list[Report]:
        return list(await asyncio.gather(judge_ours("scripted"), judge_ours("offline")))

    return dict(zip(["scripted", "offline"], asyncio.run(judge_both()), strict=True))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("engine", ["scripted", "offline"])
def test_serve_passes_the_full_profile(ours: dict[str, Report], engine: str) -> None:
    report = ours[engine]
    told = "\n".join(report.lines(passes=False))
    assert report.passed, told
    untested = {
        one.event for one in report.findings if one.verdict is Verdict.NOT_TESTED and one.why not in WHY.values()
    }
    assert untested <= {"conversation.item.input_audio_transcription.failed"}, told


# --- servers with one thing wrong -----------------------------------------------------------------------------------


def dropped(event_type: str) -> Callable[[], Fault]:
    return lambda: Spoiled(event_type, lambda event: [])


def changed(event_type: str, change: Callable[[Event], None]) -> Callable[[], Fault]:
    def spoil(event: Event) -> list[Event]:
        event = copy.deepcopy(event)
        change(event)
        return [event]

    return lambda: Spoiled(event_type, spoil)


def doubled(event_type: str) -> Callable[[], Fault]:
    return lambda: Spoiled(event_type, lambda event: [event, {**event, "event_id": event["event_id"] + "2"}])


def renamed(event_type: str, name: str) -> Callable[[], Fault]:
    return changed(event_type, lambda event: event.update(type=name))


def without(event_type: str, *path: str) -> Callable[[], Fault]:
    def remove(event: Event) -> None:
        for key in path[:-1]:
            event = event[key]
        del event[path[-1]]

    return changed(event_type, remove)


class EndsEarly(Fault):
    """`response.done` overtakes the events before it."""

    def __init__(self) -> None:
        self._held: list[Event] = []

    def to_client(self, event: Event) -> list[Event]:
        if event["type"] == "response.output_item.done":
            self._held.append(event)
            return []
        if event["type"] == "response.done":
            return [event, *self._held]
        return [event]


class WrongBegin(Fault):
    """The item that speech_started announces is not the one that is committed."""

    def to_client(self, event: Event) -> list[Event]:
        wrong = event["type"] == "input_audio_buffer.speech_started"
        return [{**event, "item_id": "item_speculative"} if wrong else event]


def ack_only(event: Event) -> list[Event]:
    keys = ("item_id", "content_index", "audio_end_ms")
    return [{"type": "conversation.item.truncated", **{key: event[key] for key in keys}}]


def take(event: Event) -> None:
    """Make an error the acceptance of what it refuses."""
    event.update(type="session.updated", session={"instructions": "", "audio": {}})
    del event["error"]


class Deaf(Fault):
    """As a server that computes in its event loop."""

    deaf = True


class LimitsAfterTranscripts(Fault):
    """A transcription session that counts tokens aloud, as a response would."""

    def to_client(self, event: Event) -> list[Event]:
        limits = {"type": "rate_limits.updated", "event_id": "event_limits", "rate_limits": []}
        return [event, limits] if event["type"] == TRANSCRIBED else [event]


class NoToolsOfItsOwn(Fault):
    """Calls the session's tools, and nothing else."""

    def __init__(self) -> None:
        self._has_tools = True

    def to_client(self, event: Event) -> list[Event]:
        if event["type"] == "session.updated":
            self._has_tools = bool(event["session"]["tools"])
        if event["type"] == "response.done" and not self._has_tools:
            return [{**event, "response": {**event["response"], "output": []}}]
        return [event]


def cancel_all(event: Event) -> None:
    """A cancel that is one of everything."""
    response = event["response"]
    response.update(status="cancelled", status_details={"type": "cancelled", "reason": "client_cancelled"})


def complete_aside(event: Event) -> None:
    """An out-of-band response that was cancelled, it is not said by whom."""
    if event["response"]["metadata"]:
        event["response"]["status_details"]["reason"] = "turn_detected"


def keep_whole(item: Event) -> None:
    """Truncation that cuts the audio and leaves the transcript, as some servers do."""
    for part in item["content"]:
        if part["type"] == "output_audio":
            part["transcript"] = "You said: please say one short sentence about the sea, and all the rest of it."


def lenient(event: Event) -> list[Event]:
    return []


DELTA = "response.output_audio.delta"
TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
FAULTS: list[tuple[str, Callable[[], Fault], tuple[str, ...], tuple[str, str]]] = [
    ("no item.done", dropped("conversation.item.done"), ("text turn",), ("conversation.item.done", "item.id")),
    (
        "no output_item.done",
        dropped("response.output_item.done"),
        ("text turn",),
        ("response.output_item.done", "item"),
    ),
    (
        "no content_part.done",
        dropped("response.content_part.done"),
        ("text turn",),
        ("response.content_part.done", "part"),
    ),
    ("no response.done", dropped("response.done"), ("text turn",), ("response.done", "response.id")),
    ("two response.done", doubled("response.done"), ("text turn",), ("response.done", "response.id")),
    ("response.done too early", EndsEarly, ("text turn",), ("response.output_item.done", "item")),
    (
        "truncate acknowledged only",
        lambda: Swallowed("conversation.item.truncate", ack_only),
        ("truncate",),
        ("conversation.item.truncated", ""),
    ),
    (
        "two speech_stopped",
        doubled("input_audio_buffer.speech_stopped"),
        ("server VAD turn",),
        ("input_audio_buffer.speech_stopped", "item_id"),
    ),
    ("another item id", WrongBegin, ("server VAD turn",), ("conversation.item.added", "item.id")),
    (
        "wrong marks",
        changed("input_audio_buffer.speech_started", lambda event: event.update(audio_start_ms=0)),
        ("server VAD turn",),
        ("input_audio_buffer.speech_started", "audio_start_ms"),
    ),
    ("beta names", renamed(DELTA, "response.audio.delta"), ("audio turn",), ("response.audio.delta", "all fields")),
    (
        "item.created",
        renamed("conversation.item.added", "conversation.item.created"),
        ("text turn",),
        ("conversation.item.created", "all fields"),
    ),
    ("no response_id", without(DELTA, "response_id"), ("audio turn",), (DELTA, "all fields")),
    (
        "no status_details",
        without("response.done", "response", "status_details"),
        ("text turn",),
        ("response.done", "all fields"),
    ),
    (
        "no usage",
        changed("response.done", lambda event: event["response"].update(usage=None)),
        ("text turn",),
        ("response.done", "usage"),
    ),
    (
        "transcription without usage",
        without("conversation.item.input_audio_transcription.completed", "usage"),
        ("input transcription",),
        ("conversation.item.input_audio_transcription.completed", "usage"),
    ),
    (
        "errors without event_id",
        changed("error", lambda event: event["error"].update(event_id=None)),
        ("one active response",),
        ("error", "error.event_id"),
    ),
    (
        "a session with holes",
        without("session.created", "session", "audio", "input", "turn_detection"),
        ("opening",),
        ("session.created", "session.audio"),
    ),
    (
        "words that were not said",
        changed("response.output_text.done", lambda event: event.update(text="Something else.")),
        ("text turn",),
        ("response.output_*.done", "text, transcript"),
    ),
    (
        "interruption unsaid",
        changed("response.done", lambda event: event["response"].update(status="completed", status_details=None)),
        ("barge-in",),
        ("response.done", "status_details.reason"),
    ),
    (
        "clear does nothing",
        lambda: Swallowed("input_audio_buffer.clear", lambda event: [{"type": "input_audio_buffer.cleared"}]),
        ("input buffer",),
        ("input_audio_buffer.clear", ""),
    ),
    (
        "unknown parameters taken",
        lambda: Swallowed("input_audio_buffer.clear", lenient),
        ("bad frames",),
        ("error", "error.code"),
    ),
    (
        "metadata lost",
        changed("response.created", lambda event: event["response"].update(metadata=None)),
        ("out of band",),
        ("response.created", "response.metadata"),
    ),
    (
        "retrieve without an answer",
        lambda: Swallowed("conversation.item.retrieve", lenient),
        ("item retrieve and delete",),
        ("conversation.item.retrieved", "item"),
    ),
    (
        "a voice that is not locked",
        changed("error", lambda event: take(event)),
        ("voice lock",),
        ("session.update", "audio.output.voice"),
    ),
    (
        "cut words kept",
        changed("conversation.item.retrieved", lambda event: keep_whole(event["item"])),
        ("truncate",),
        ("conversation.item.truncated", ""),
    ),
    (
        "silence for speech",
        changed(DELTA, lambda event: event.update(delta="AAAA" * 1600)),
        ("audio turn",),
        (DELTA, "delta"),
    ),
    (
        "overrides that stay",
        changed("session.updated", lambda event: event["session"].update(output_modalities=["text"])),
        ("overrides",),
        ("session.updated", "session"),
    ),
    (
        "a modality that stays",
        changed("response.created", lambda event: event["response"].update(output_modalities=["text"])),
        ("overrides",),
        ("response.created", "output_modalities"),
    ),
    (
        "cancelled answers kept whole",
        lambda: Swallowed("conversation.item.truncate", ack_only),
        ("cancel",),
        ("conversation.item.truncated", "audio_end_ms"),
    ),
    ("one cancel for all", changed("response.done", cancel_all), ("cancel aside",), ("response.done", "")),
    (
        "cancelled by nobody",
        changed("response.done", complete_aside),
        ("cancel aside",),
        ("response.done", "response.status"),
    ),
    ("no pong", Deaf, ("alive while it speaks",), ("(ping)", "")),
    (
        "no prefix",
        changed("input_audio_buffer.speech_started", lambda event: event.update(audio_start_ms=350)),
        ("VAD settings",),
        ("input_audio_buffer.speech_started", "audio_start_ms"),
    ),
    (
        "its own silence",
        changed("input_audio_buffer.speech_stopped", lambda event: event.update(audio_end_ms=2500)),
        ("VAD settings",),
        ("input_audio_buffer.speech_stopped", "audio_end_ms"),
    ),
    (
        "speech that never stops",
        dropped("input_audio_buffer.speech_stopped"),
        ("transcription session with VAD",),
        ("input_audio_buffer.*", ""),
    ),
    (
        "limits of no response",
        LimitsAfterTranscripts,
        ("transcription session with VAD",),
        ("response.created", ""),
    ),
    (
        "settings not taken",
        changed("session.updated", lambda event: event["session"].update(truncation="auto", tool_choice="auto")),
        ("more settings",),
        ("session.update", "truncation"),
    ),
    (
        "everything taken",
        changed("error", lambda event: take(event)),
        ("more settings",),
        ("session.update", "tracing"),
    ),
    (
        "odd items taken",
        changed("error", lambda event: event["error"].update(code=None)),
        ("item kinds", "truncate"),
        ("conversation.item.create", "item.*"),
    ),
    (
        "text cut without a word",
        changed("error", lambda event: event["error"].update(code="invalid_value")),
        ("truncate",),
        ("conversation.item.truncate", "item_id"),
    ),
    (
        "a part that is not there",
        changed("error", lambda event: event["error"].update(code=None)),
        ("truncate",),
        ("conversation.item.truncate", "content_index"),
    ),
    (
        "tools of its own left out",
        NoToolsOfItsOwn,
        ("function call",),
        ("response.create", "tool_choice"),
    ),
]


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    """What is found with each fault, and with none under the name ""."""

    assert {name for name, *_ in FAULTS} >= LEFT_OUT

    async def judge_all() -> dict[str, Report]:
        turnstile = asyncio.Semaphore(6)

        async def one(name: str, fault: Callable[[], Fault], scenarios: Iterable[str], patience_s: float) -> Report:
            async with turnstile:
                return await judge(fault, *scenarios, patience_s=patience_s)

        every = {name for fault in FAULTS for name in fault[2]}
        judged = [
            one(name, fault, scenarios, IMPATIENCE_S if name in LEFT_OUT else PATIENCE_S)
            for name, fault, scenarios, _ in FAULTS
        ]
        found = await asyncio.gather(one("", Fault, every, PATIENCE_S), *judged)
        return dict(zip(["", *(name for name, *_ in FAULTS)], found, strict=True))

    return asyncio.run(judge_all())


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "row"), [(name, row) for name, _, _, row in FAULTS])
def test_a_fault_is_found(reports: dict[str, Report], name: str, row: tuple[str, str]) -> None:
    report = reports[name]
    assert row in failures(report), "\n".join(report.lines(passes=False))
    assert not report.passed


def test_the_same_scenarios_find_nothing_in_a_proxy_that_spoils_nothing(reports: dict[str, Report]) -> None:
    report = reports[""]
    assert failures(report) == []
    assert report.passed


# --- the report -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        ({"type": "invalid_request_error", "code": "invalid_value", "param": "type"}, Verdict.UNSUPPORTED),
        ({"type": "invalid_request_error", "code": "not_supported", "param": None}, Verdict.UNSUPPORTED),
        ({"type": "server_error", "code": "oops", "param": None}, Verdict.FAIL),
    ],
)
async def test_an_honest_refusal_is_unsupported_and_still_does_not_pass(error: Event, verdict: Verdict) -> None:
    def refuse(event: Event) -> list[Event]:
        return [{"type": "error", "error": {**error, "message": "No.", "event_id": event["event_id"]}}]

    report = await judge(lambda: Swallowed("conversation.item.delete", refuse), "item retrieve and delete")
    found = {one.behaviour: one.verdict for one in report.findings if one.event == "conversation.item.deleted"}
    assert verdict in found.values()
    assert not report.passed


async def test_a_server_that_is_not_there_fails_every_scenario() -> None:
    report = await run_conformance(target("http://127.0.0.1:9/v1"), scenarios=named("text turn", "opening"))
    mine = [one for one in report.findings if one.scenario in ("text turn", "opening")]
    assert [one.verdict for one in mine if one.verdict is Verdict.FAIL] == [Verdict.FAIL] * 2
    assert {one.verdict for one in mine} == {Verdict.FAIL, Verdict.NOT_TESTED}
    assert not report.passed


async def test_nobody_there_is_a_report_and_no_traceback_for_every_scenario() -> None:
    report = await run_conformance(target("http://127.0.0.1:1/v1", patience_s=2.0), scenarios=ALL)
    assert not report.passed
    assert not [one for one in report.findings if one.verdict is Verdict.PASS]


async def test_the_core_profile_has_core_rows_only() -> None:
    server = await EmbeddedServer.start(scripted.create(), allow_any_key=True)
    try:
        report = await run_conformance(target(server.url), profile="core", scenarios=named("text turn", "beta"))
    finally:
        await server.aclose()
    assert {one.profile for one in report.findings} == {"core"}
    assert report.connections == 1
    assert report.passed


def test_every_row_of_a_scenario_has_its_own_key() -> None:
    for one in ALL:
        assert len({row.key for row in one.rows}) == len(one.rows), one.name


def test_reports_leave_audio_out() -> None:
    shown: Any = elided({"type": "x", "delta": "A" * 5000, "item": {"content": [{"audio": "B" * 700}]}})
    assert shown == {
        "type": "x",
        "delta": "<5000 characters of base64>",
        "item": {"content": [{"audio": "<700 characters of base64>"}]},
    }


def test_a_finding_says_why() -> None:
    row = Finding(
        scenario="s", event="e", field="f", behaviour="b", profile="core", verdict=Verdict.FAIL, why="because", frame={}
    )
    report = Report(url="u", profile="core", duration_s=1, frames=1, connections=1, sdk="none", findings=[row])
    assert not report.passed
    assert any("because" in line for line in report.lines(passes=False))
    assert report.as_json()["counts"] == {"fail": 1}
    assert json.dumps(report.as_json())


# --- the command ----------------------------------------------------------------------------------------------------


async def test_the_command_exits_by_the_profile_and_writes_what_it_found(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    async with served("--engine", "scripted") as server:
        status, shown = await _command(server.url, "--only", "text turn", "--only", "opening", "--json", str(path))
        assert status == 0, shown
        assert "PASSES the profile 'full'" in shown
        found = json.loads(await asyncio.to_thread(path.read_bytes))
        assert found["passed"] is True
        assert found["counts"]["pass"] > 20
    (status, shown), nonsense, unknown = await asyncio.gather(
        _command(server.url, "--only", "text turn"),
        _command("nonsense"),
        _command(server.url, "--only", "nothing of that name"),
    )
    assert status == 1
    assert "Nothing could be judged" in shown
    assert (nonsense[0], unknown[0]) == (2, 2)


async def _command(*arguments: str) -> tuple[int, str]:
    import sys

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "realtime_nb.cli", "conformance", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(100):
        shown, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, shown.decode()
