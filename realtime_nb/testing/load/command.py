"""`realtime-nb load`: from the command line's words to figures on a file and the screen."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from realtime_nb.audio import AudioClip, bundled
from realtime_nb.errors import ConfigurationError
from realtime_nb.session.endpoint import choose_endpoint
from realtime_nb.testing.load.figures import LoadReport
from realtime_nb.testing.load.run import Load, check_target, run_load
from realtime_nb.testing.spoken_clip import with_bounds

DEFAULT_CLIP = "what_can_you_do"


def run(
    url: str,
    *,
    api_key: str | None,
    model: str | None,
    sessions: int,
    seconds: float,
    clip: str | None,
    frame_ms: int,
    allow_remote: bool,
    json_path: str | None,
) -> LoadReport:
    """Load a server, write the figures if a path is given, and return them. Blocks.

    Raises:
        ConfigurationError: a number that cannot be, or a server that is not on this machine.
    """
    if sessions < 1 or seconds <= 0 or not 10 <= frame_ms <= 1000:
        raise ConfigurationError(
            f"{sessions} sessions, {seconds:g} s and messages of {frame_ms} ms are no load.",
            what_now="Give at least one session, some seconds, and 10 to 1000 ms.",
        )
    endpoint = choose_endpoint(url=url, api_key=api_key, model=model)
    check_target(endpoint.base_url, allow_remote=allow_remote)
    spoken = with_bounds(AudioClip.load(clip) if clip else bundled.clip(DEFAULT_CLIP))
    load = Load(endpoint=endpoint, sessions=sessions, seconds=seconds, clip=spoken, frame_ms=frame_ms)
    report = asyncio.run(run_load(load))
    if json_path:
        pretty = msgspec.json.format(msgspec.json.encode(report.as_json()), indent=2)
        Path(json_path).write_bytes(pretty + b"\n")
    return report
