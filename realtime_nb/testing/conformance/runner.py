"""Plays scenarios against a server and puts everything that was found into one report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence

from realtime_nb.errors import ConnectionLost, RealtimeError
from realtime_nb.testing.conformance.envelope import RULES, Violation
from realtime_nb.testing.conformance.peer import Missing, Refused, ShapeLog
from realtime_nb.testing.conformance.report import Report
from realtime_nb.testing.conformance.results import Finding, Profile, Row, Verdict, finding
from realtime_nb.testing.conformance.scenario import Scenario, core
from realtime_nb.testing.conformance.schema import REQUIRED, load_sdk_validator
from realtime_nb.testing.conformance.trial import NotApplicable, Target, Trial

EVERY = "every connection"


async def run_conformance(
    target: Target,
    *,
    profile: Profile = "full",
    scenarios: Sequence[Scenario] | None = None,
    at_once: int = 4,
) -> Report:
    """Judge a server.

    Args:
        target: whom.
        profile: rows of "core" only, or all.
        scenarios: all by default.
        at_once: how many scenarios may talk at the same time.

    Returns:
        The report; a server that cannot be reached at all fails every row of it.
    """
    if scenarios is None:
        from realtime_nb.testing.conformance.scenarios import ALL

        scenarios = ALL
    chosen = [one for one in scenarios if profile == "full" or any(row.profile == "core" for row in one.rows)]
    began = time.monotonic()
    sdk, sdk_name = await asyncio.to_thread(load_sdk_validator)
    shapes = ShapeLog(sdk, sdk_name)
    turnstile = asyncio.Semaphore(at_once)
    trials = await asyncio.gather(*(_play(target, one, shapes, turnstile) for one in chosen))
    findings = [one for trial in trials for one in trial.findings.values()]
    findings += _rules(trials) + list(_shapes(shapes))
    kept = [one for one in findings if profile == "full" or one.profile == "core"]
    return Report(
        url=target.endpoint.base_url,
        profile=profile,
        duration_s=time.monotonic() - began,
        frames=sum(shapes.seen.values()),
        connections=sum(len(trial.peers) for trial in trials),
        sdk=sdk_name,
        findings=kept,
    )


async def _play(target: Target, scenario: Scenario, shapes: ShapeLog, turnstile: asyncio.Semaphore) -> Trial:
    trial = Trial(target, scenario, shapes)
    async with turnstile:
        try:
            async with asyncio.timeout(scenario.timeout_s):
                await scenario.play(trial)
        except Missing as missing:
            _stopped(trial, str(missing), missing.event_types, missing.last)
        except Refused as refused:
            _refused(trial, refused)
        except NotApplicable as reason:
            _leave(trial, str(reason))
        except TimeoutError:
            _stopped(trial, f"the scenario did not end within {scenario.timeout_s:g} s", (), None)
        except ConnectionLost as lost:
            _stopped(trial, f"the server closed the connection: {lost.code} {lost.reason}", (), None)
        except RealtimeError as problem:
            _stopped(trial, str(problem), (), None)
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as odd:
            last = trial.peers[-1].events[-1] if trial.peers and trial.peers[-1].events else None
            _stopped(trial, f"a frame was not readable: {type(odd).__name__} {odd}", (), last)
        finally:
            await trial.close()
    _leave(trial, "the scenario did not get there")
    return trial


def _stopped(trial: Trial, why: str, event_types: tuple[str, ...], frame: object) -> None:
    """Fail the row that the server owed, or the next one; the rest is not tested."""
    for key in _owed(trial, event_types):
        trial.check(key, False, frame, why)
    _leave(trial, f"stopped before: {why}")


def _refused(trial: Trial, refused: Refused) -> None:
    honest = (refused.frame.get("error") or {}).get("type") == "invalid_request_error"
    for key in _owed(trial, refused.event_types):
        if honest:
            trial.unsupported(key, refused.frame)
        else:
            trial.check(key, False, refused.frame, str(refused))
    _leave(trial, f"stopped before: {refused}")


def _owed(trial: Trial, event_types: tuple[str, ...]) -> list[str]:
    unjudged = trial.unjudged
    return ([key for key in unjudged if trial.row_event(key) in event_types] or unjudged)[:1]


def _leave(trial: Trial, why: str) -> None:
    for key in trial.unjudged:
        trial.not_tested(key, why)


def _rules(trials: Iterable[Trial]) -> list[Finding]:
    """Return the rows of what holds on every connection."""
    seen: dict[str, int] = {}
    broken: dict[str, Violation] = {}
    for trial in trials:
        for peer in trial.peers:
            for rule, times in peer.envelope.seen.items():
                seen[rule] = seen.get(rule, 0) + times
            for rule, violation in peer.envelope.violations.items():
                broken.setdefault(rule, violation)
    findings = []
    for key, row in RULES.items():
        if key in broken:
            violation = broken[key]
            findings.append(finding(EVERY, row, Verdict.FAIL, violation.why, violation.frame, seen[key]))
        elif seen.get(key):
            findings.append(finding(EVERY, row, Verdict.PASS, seen=seen[key]))
        else:
            findings.append(finding(EVERY, row, Verdict.NOT_TESTED, "it never came up"))
    return findings


def _shapes(shapes: ShapeLog) -> Iterable[Finding]:
    """Return the rows of every event type's shape, as we and as the SDK read it."""
    own_rows = "has all fields, typed (realtime_nb)"
    for name in sorted({*REQUIRED, *shapes.seen}):
        row = core(f"own {name}", name, "all fields", own_rows)
        yield _shape(row, shapes.own.get(name), shapes.seen.get(name, 0), "the server never sent it")
        row = core(f"sdk {name}", name, "all fields", f"is valid by the official types ({shapes.sdk_name})")
        times = shapes.seen.get(name, 0) if shapes.validates else 0
        why = "the server never sent it" if shapes.validates else shapes.sdk_name
        yield _shape(row, shapes.sdk.get(name), times, why)


def _shape(row: Row, problem: tuple[str, object] | None, times: int, otherwise: str) -> Finding:
    if problem is not None:
        return finding(EVERY, row, Verdict.FAIL, problem[0], problem[1], times)
    if times:
        return finding(EVERY, row, Verdict.PASS, seen=times)
    return finding(EVERY, row, Verdict.NOT_TESTED, otherwise)
