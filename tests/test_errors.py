"""Errors carry what they say, also from one process to another."""

from __future__ import annotations

import copy
import pickle

import pytest

from realtime_nb import errors
from realtime_nb.errors import ConnectionLost, MissingExtra, RealtimeError, RemoteProtocolError

MADE = [kind("it broke", what_now="Mend it.") for kind in (RealtimeError, errors.AudioError, errors.EngineCrashed)]


@pytest.mark.parametrize(
    "error",
    [
        *MADE,
        MissingExtra("pandas", extra="studies"),
        ConnectionLost("it broke", code=1012, reason="restart", what_now="Wait."),
        RemoteProtocolError("odd", code="c", param="p", event_id="e"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_crosses_processes_whole(error: RealtimeError) -> None:
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is type(error)
        assert (str(other), other.args, vars(other)) == (str(error), error.args, vars(error))


def test_every_error_says_what_it_is_and_what_to_do() -> None:
    assert str(MissingExtra("pandas", extra="studies")) == (
        "pandas is not installed. Install it with: pip install 'realtime-nb[studies]'"
    )
    assert str(RealtimeError("it broke")) == "it broke"
