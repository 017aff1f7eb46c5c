"""The HTTP library of the installed SDK: `httpx`, or `httpx2`, which newer ones use."""

from __future__ import annotations

import importlib
from typing import Any


def http_library() -> Any:
    """Return the module whose `AsyncClient` the SDK's own client is."""
    import openai

    clients = (base for base in openai.DefaultAsyncHttpxClient.__mro__ if base.__name__ == "AsyncClient")
    return importlib.import_module(next(clients).__module__.partition(".")[0])
