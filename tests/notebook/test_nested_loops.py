"""Nested loops are applied by the maintained patch only, and the runtime goes on under it."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from realtime_nb.errors import ConfigurationError, MissingExtra
from realtime_nb.notebook import nested_loops

NESTED = """
import asyncio
from realtime_nb import allow_nested_loops
from realtime_nb.notebook.nested_loops import nested_loops_in_use
from realtime_nb.runtime import runtime

async def one():
    await asyncio.sleep(0)
    return 1

assert runtime().run(one(), 10) == 1
assert nested_loops_in_use() == "none"

async def cell():
    allow_nested_loops()
    allow_nested_loops()
    inner = asyncio.get_running_loop().run_until_complete(one())
    return inner + await runtime().call(one()) + runtime().run(one(), 10)

loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
print(loop.run_until_complete(cell()), nested_loops_in_use())
"""


def test_a_cell_may_nest_and_the_runtime_goes_on():
    done = subprocess.run([sys.executable, "-c", NESTED], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "3 nest_asyncio2\n", done.stderr


def test_the_old_patch_is_refused(monkeypatch):
    monkeypatch.setattr(asyncio, "_nest_patched", True, raising=False)
    with pytest.raises(ConfigurationError, match=r"old nest_asyncio.*restart"):
        nested_loops.allow_nested_loops()


def test_too_old_a_successor_is_refused(monkeypatch):
    monkeypatch.setattr(nested_loops, "installed_version", lambda: (1, 7, 3))
    with pytest.raises(ConfigurationError, match=r"nest-asyncio2>=1\.7\.4"):
        nested_loops.allow_nested_loops()


def test_missing_successor_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "nest_asyncio2", None)
    with pytest.raises(MissingExtra, match=r"realtime-nb\[lab\]"):
        nested_loops.allow_nested_loops()
