"""The official `openai` client, one per server: warm, without silent retries, its failures in plain words."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from realtime_nb.errors import AuthenticationFailed, ConnectionRefused, RealtimeError
from realtime_nb.timing.clock import monotonic_ms
from realtime_nb.transport.network import NetworkProfile
from realtime_nb.transport.network_http import NetworkTransport

from .dry_run import dry_run
from .http_library import http_library
from .stage_server import StageServer
from .turn_run import StageFailed

if TYPE_CHECKING:
    from openai import AsyncOpenAI

KEEP_ALIVE_S = 120.0
WARM_TIMEOUT_S = 10.0
FRESH_MS = 30_000.0
"""A connection unused for longer may have been closed by the other side: it is tried before the next turn."""

NAMES = {
    "transcription": "The transcription",
    "chat": "The chat model",
    "audio_chat": "The chat model",
    "speech": "The voice",
    "session": "The session",
}

_on_uploaded: ContextVar[Callable[[], None] | None] = ContextVar("on_uploaded", default=None)


class RestClient:
    """A connection pool to one server.

    Args:
        server: which one.
        network: the simulated network in between, None for none.
        transport: what really carries requests (a transport of the library that the installed SDK uses), None for the
            network.
    """

    def __init__(self, server: StageServer, *, network: NetworkProfile | None = None, transport: Any = None) -> None:
        import openai

        self.server = server
        self._warm_ms = float("-inf")
        limits = http_library().Limits(keepalive_expiry=KEEP_ALIVE_S)
        options: dict[str, Any] = {"limits": limits, "event_hooks": {"request": [_trace_upload]}}
        if network is not None:
            transport = NetworkTransport(transport or http_library().AsyncHTTPTransport(limits=limits), network)
        if transport is not None:  # without one the client finds the environment's proxies
            options["transport"] = transport
        http: Any = openai.DefaultAsyncHttpxClient(**options)
        self.sdk: AsyncOpenAI = openai.AsyncOpenAI(
            base_url=server.rest_url, api_key=server.endpoint.api_key or "none", max_retries=0, http_client=http
        )

    async def warm(self, connections: int = 1) -> None:
        """Open connections, so that the first requests are as fast as the tenth. Fresh ones are left alone.

        Args:
            connections: how many requests will be under way at once.

        Raises:
            ConnectionRefused: nobody is there.
            AuthenticationFailed: the key is refused.
        """
        if monotonic_ms() - self._warm_ms < FRESH_MS:
            return
        await dry_run()
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(self._ask()) for _ in range(connections)]
        for problem in filter(None, (task.result() for task in asked)):
            raise problem
        self.used()

    def used(self) -> None:
        """Note that requests were just made."""
        self._warm_ms = monotonic_ms()

    async def _ask(self) -> RealtimeError | None:
        import openai

        try:
            await self.sdk.with_options(timeout=WARM_TIMEOUT_S).models.with_raw_response.list()
        except openai.AuthenticationError:
            return AuthenticationFailed(
                f"{self.server.said} refused the key.", what_now=self.server.endpoint.key_advice
            )
        except openai.APIConnectionError as problem:
            return ConnectionRefused(
                f"{self.server.said} cannot be reached: {problem}", what_now="Check the address and the network."
            )
        except openai.APIError:  # a server without a list of models is warm all the same
            return None
        return None

    async def aclose(self) -> None:
        """Close the connections. Twice is fine."""
        await self.sdk.close()


@contextlib.contextmanager
def uploading(on_uploaded: Callable[[], None]) -> Any:
    """Within this, `on_uploaded` is called when the last byte of each request's body was handed to the network."""
    token = _on_uploaded.set(on_uploaded)
    try:
        yield
    finally:
        _on_uploaded.reset(token)


async def _trace_upload(request: Any) -> None:
    on_uploaded = _on_uploaded.get()
    if on_uploaded is None:
        return

    async def trace(name: str, info: dict[str, Any]) -> None:
        if name.endswith("send_request_body.complete"):
            on_uploaded()

    request.extensions = {**request.extensions, "trace": trace}


@contextlib.asynccontextmanager
async def stage(server: StageServer, timeout_s: float) -> AsyncIterator[None]:
    """Give a stage so much time, and say its failures as `StageFailed`: who, what, what now."""
    import openai

    who = f"{NAMES[server.kind]} at {server.said}"
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except (TimeoutError, openai.APITimeoutError) as late:
        raise StageFailed(
            f"{who} did not finish within {timeout_s:g} s.",
            what_now="Try again, or allow more with timeouts=.",
            status="timed_out",
        ) from late
    except openai.AuthenticationError as refused:
        raise StageFailed(f"{who} refused the key.", what_now=server.endpoint.key_advice) from refused
    except openai.RateLimitError as limit:
        raise StageFailed(
            f"{who} reached its limit: {_said(limit)}", what_now="Wait, or ask for fewer runs."
        ) from limit
    except openai.NotFoundError as missing:
        raise StageFailed(
            f"{who} does not have {server.endpoint.model!r}, or not this service: {_said(missing)}",
            what_now="Choose another model= or url=.",
        ) from missing
    except openai.APIStatusError as problem:
        raise StageFailed(f"{who} answered {problem.status_code}: {_said(problem)}", what_now="Try again.") from problem
    except openai.APIConnectionError as problem:
        cause = problem.__cause__ or problem
        raise StageFailed(
            f"{who} cannot be reached: {cause or type(cause).__name__}", what_now="Check the address and the network."
        ) from problem
    except openai.APIError as problem:
        raise StageFailed(f"{who} failed: {_said(problem)}", what_now="Try again.") from problem
    except (OSError, http_library().HTTPError) as problem:
        raise StageFailed(
            f"{who} broke off: {str(problem) or type(problem).__name__}", what_now="Try again."
        ) from problem


def _said(problem: Any) -> str:
    body = getattr(problem, "body", None)
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        return str(body["message"])
    return str(getattr(problem, "message", problem))


__all__ = ["RestClient", "stage", "uploading"]
