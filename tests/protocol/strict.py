"""The judge of frames: the official SDK's own types, strictly."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any

from pydantic import Field, TypeAdapter


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[Any]:
    from openai.types.realtime import RealtimeServerEvent

    return TypeAdapter(Annotated[RealtimeServerEvent, Field(discriminator="type")])


def check_server_frame(frame: str | bytes) -> Any:
    """Return the frame as the SDK reads it; raises pydantic's ValidationError if a field is missing or odd."""
    return _adapter().validate_json(frame)
