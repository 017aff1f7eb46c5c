"""All scenarios, in the order of the report."""

from __future__ import annotations

from realtime_nb.testing.conformance.scenario import Scenario
from realtime_nb.testing.conformance.scenarios import (
    handshake,
    items,
    listening,
    out_of_reach,
    refusals,
    responses,
    rest,
    settings,
    speech,
    tools,
    truncation,
)

ALL: tuple[Scenario, ...] = (
    *handshake.SCENARIOS,
    *rest.SCENARIOS,
    *settings.SCENARIOS,
    *items.SCENARIOS,
    *refusals.SCENARIOS,
    *responses.SCENARIOS,
    *truncation.SCENARIOS,
    *tools.SCENARIOS,
    *speech.SCENARIOS,
    *listening.SCENARIOS,
    *out_of_reach.SCENARIOS,
)
