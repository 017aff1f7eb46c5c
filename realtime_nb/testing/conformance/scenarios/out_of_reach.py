"""What a test from outside, of a few seconds, cannot see: listed, so that the report does not claim it."""

from __future__ import annotations

from realtime_nb.testing.conformance.scenario import full, scenario
from realtime_nb.testing.conformance.trial import Trial

WHY = {
    "cap": "it would take an hour",
    "pings": "it would take minutes",
    "failed": "an engine's failure cannot be provoked from outside",
    "limits": "it would use up somebody's quota",
    "mcp": "it needs an MCP server that the server under test can reach",
    "webrtc": "only WebSocket connections are made",
    "heard": "whether an image, a prompt template or noise reduction changes the answer is beyond a protocol test",
}


@scenario(
    "out of reach",
    full("cap", "error", "error.code", "session_expired after 60 minutes, then close 1001"),
    full("pings", "(ping)", "", "comes every 20 s or so, and a client that does not answer is cut off"),
    full("failed", "response.done", "status_details.error", "says why a response failed"),
    full("limits", "response.done", "status_details.error.code", "rate_limit_exceeded, insufficient_quota"),
    full("mcp", "mcp_list_tools.*, response.mcp_call.*", "", "MCP tools are listed and called"),
    full("webrtc", "output_audio_buffer.*", "", "playout is announced on WebRTC and SIP"),
    full("heard", "session.update", "prompt, noise_reduction", "have their effect"),
)
async def out_of_reach(trial: Trial) -> None:
    for key, why in WHY.items():
        trial.not_tested(key, why)


SCENARIOS = (out_of_reach,)
