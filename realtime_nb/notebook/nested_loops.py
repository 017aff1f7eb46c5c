"""For code that calls `run_until_complete` in a cell. Nothing of realtime_nb needs it: sessions have a thread."""

from __future__ import annotations

import asyncio
from typing import Literal

from realtime_nb.errors import ConfigurationError, MissingExtra

__all__ = ["allow_nested_loops", "nested_loops_in_use"]

MINIMUM = (1, 7, 4)


def nested_loops_in_use() -> Literal["none", "nest_asyncio", "nest_asyncio2"]:
    """Which patch of asyncio is active in this process."""
    if not hasattr(asyncio, "_nest_patched"):
        return "none"
    return "nest_asyncio2" if hasattr(asyncio, "_nest_asyncio2") else "nest_asyncio"


def allow_nested_loops() -> None:
    """Let code of yours call `run_until_complete` or `asyncio.run` in a cell, by `nest-asyncio2`. Twice is fine.

    While such a call runs, the kernel takes no widget messages; the media link and sessions go on.

    Raises:
        ConfigurationError: the old `nest_asyncio` is active already, or `nest-asyncio2` is too old; both silently drop
            the cells that wait in Run All on ipykernel 7.3 and newer.
        MissingExtra: `nest-asyncio2` is not installed (ipykernel 7 brings it).
    """
    if nested_loops_in_use() == "nest_asyncio":
        raise ConfigurationError(
            "The old nest_asyncio is active in this kernel; on ipykernel 7.3 and newer it drops the cells after yours.",
            what_now="Remove nest_asyncio.apply(), restart, and call realtime_nb.allow_nested_loops() instead.",
        )
    try:
        import nest_asyncio2
    except ImportError:
        raise MissingExtra("nest-asyncio2", extra="lab") from None
    if installed_version() < MINIMUM:
        raise ConfigurationError(
            "nest-asyncio2 is older than 1.7.4, which drops cells in Run All.",
            what_now="Run: pip install 'nest-asyncio2>=1.7.4' and restart the kernel.",
        )
    nest_asyncio2.apply()


def installed_version() -> tuple[int, ...]:
    """Version of the installed `nest-asyncio2`."""
    from importlib.metadata import version

    return tuple(int(part) for part in version("nest-asyncio2").split(".")[:3] if part.isdigit())
