"""`realtime-nb conformance`: from the command line's words to a report on a file and the screen."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from realtime_nb.audio import AudioClip, bundled
from realtime_nb.errors import ConfigurationError
from realtime_nb.session.endpoint import choose_endpoint
from realtime_nb.testing.conformance.report import Report
from realtime_nb.testing.conformance.results import Profile
from realtime_nb.testing.conformance.runner import run_conformance
from realtime_nb.testing.conformance.scenarios import ALL
from realtime_nb.testing.conformance.trial import Target
from realtime_nb.testing.spoken_clip import with_bounds

DEFAULT_CLIP = "what_can_you_do"


def target(
    url: str,
    *,
    api_key: str | None = None,
    model: str | None = None,
    clip: AudioClip | None = None,
    patience_s: float = 10.0,
) -> Target:
    """Return a server to judge.

    Args:
        url: a base URL `http(s)://…/v1` or `ws(s)://…`.
        api_key: for it.
        model: to ask for.
        clip: one utterance of speech without long pauses; a bundled one by default.
        patience_s: how long a single event may take, in seconds.

    Raises:
        ConfigurationError: the url is not one.
        AudioError: there is no speech in the clip.
    """
    endpoint = choose_endpoint(url=url, api_key=api_key, model=model)
    return Target(endpoint=endpoint, clip=with_bounds(clip or bundled.clip(DEFAULT_CLIP)), patience_s=patience_s)


def run(
    url: str,
    *,
    api_key: str | None,
    model: str | None,
    profile: Profile,
    clip: str | None,
    patience_s: float,
    only: list[str] | None,
    json_path: str | None,
) -> Report:
    """Judge a server, write the JSON report if a path is given, and return it. Blocks."""
    whom = target(url, api_key=api_key, model=model, clip=AudioClip.load(clip) if clip else None, patience_s=patience_s)
    chosen = [one for one in ALL if not only or one.name in only]
    if not chosen:
        names = ", ".join(repr(one.name) for one in ALL)
        raise ConfigurationError("No scenario of these names.", what_now=f"There are {names}.")
    report = asyncio.run(run_conformance(whom, profile=profile, scenarios=chosen))
    if json_path:
        pretty = msgspec.json.format(msgspec.json.encode(report.as_json()), indent=2)
        Path(json_path).write_bytes(pretty + b"\n")
    return report
