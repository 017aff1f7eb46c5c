"""The plain HTTP side of the server, with the service's error shape. Its engines answer to any model's name."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from realtime_nb.engines.base import Capabilities, EngineSet
from realtime_nb.errors import RealtimeError, RemoteProtocolError
from realtime_nb.protocol.ids import IdFactory
from realtime_nb.server.admission import Keyring, offered_key, origin_allowed
from realtime_nb.server.chat_completions import ChatCompletions
from realtime_nb.server.client_secrets import ClientSecrets
from realtime_nb.server.http_ending import HttpEnding
from realtime_nb.server.limits import Limits
from realtime_nb.server.metering import rate_limit_headers
from realtime_nb.server.refusals import PROBLEMS, ClientLeft, answer_to, refusal
from realtime_nb.server.request_body import read_body
from realtime_nb.server.speech import Speech
from realtime_nb.server.token_bucket import TokenBucket
from realtime_nb.server.transcriptions import Transcriptions

MAX_BODY_BYTES = 1024 * 1024
ENGINE_HEADER = "x-realtime-nb-engine"
"""Names what really answered, for the model in a request is whatever the client says."""
CLIENT_LEFT_STATUS = 499

logger = logging.getLogger(__name__)

Endpoint = Callable[[Request], Awaitable[Response]]


class RestApi:
    """Answers requests; a client secret opens sessions only and is no key here.

    Args:
        engines: what answers.
        host: where the server listens.
        keys: which keys are accepted.
        client_secrets: made here.
        limits: of the server.
        bucket: the tokens that all requests and sessions use together.
        unix_clock: Unix time in seconds.
    """

    def __init__(
        self,
        engines: EngineSet,
        *,
        host: str,
        keys: Keyring,
        client_secrets: ClientSecrets,
        limits: Limits,
        bucket: TokenBucket,
        unix_clock: Callable[[], float] = time.time,
    ) -> None:
        self._engines = engines
        self._model = {"id": engines.model, "object": "model", "created": 0, "owned_by": "realtime-nb"}
        self._host = host
        self._keys = keys
        self._client_secrets = client_secrets
        self._ids = IdFactory()
        self._bucket = bucket
        self._busy: set[asyncio.Task[Any]] = set()
        self._stopping = asyncio.Event()
        self._draining = False
        self._transcriptions = Transcriptions(engines, bucket)
        self._speech = Speech(engines, bucket)
        self._chat = ChatCompletions(engines, bucket, limits, unix_clock)

    def routes(self) -> list[Route]:
        """Return the routes, every one behind origin and key, and ending with the server."""
        routes = self._endpoints()
        for route in routes:
            route.app = HttpEnding(route.app, self._stopping)
        return routes

    def _endpoints(self) -> list[Route]:
        hears, speaks = self._engines.transcriber.capabilities, self._engines.synthesizer.capabilities
        talks = (hears, self._engines.chat.capabilities, speaks)
        return [
            Route("/v1/models", self._guarded(self._list_models), methods=["GET"]),
            Route("/v1/models/{model:path}", self._guarded(self._retrieve_model), methods=["GET"]),
            Route("/v1/realtime/client_secrets", self._guarded(self._create_secret), methods=["POST"]),
            Route("/v1/audio/transcriptions", self._guarded(self._transcriptions.create, hears), methods=["POST"]),
            Route("/v1/chat/completions", self._guarded(self._chat.create, *talks), methods=["POST"]),
            Route("/v1/audio/speech", self._guarded(self._speech.create, speaks), methods=["POST"]),
        ]

    async def drain(self) -> None:
        """Take no more work and wait until what was taken is answered. Cancelling is safe."""
        self._draining = True
        if self._busy:
            await asyncio.wait(self._busy)

    def end(self) -> None:
        """Take no more work and stop what is under way."""
        self._draining = True
        self._stopping.set()

    def _guarded(self, endpoint: Endpoint, *engines: Capabilities) -> Endpoint:
        shown = f"{self._engines.name}: {' + '.join(engine.name for engine in engines)}" if engines else ""
        engine_header = shown.encode("latin-1", "replace").decode("latin-1")

        async def guarded(request: Request) -> Response:
            self._note_busy()
            answer = await self._answer(endpoint, request)
            answer.headers["x-request-id"] = self._ids.new("req")
            if engine_header:
                answer.headers[ENGINE_HEADER] = engine_header
                answer.headers.update(rate_limit_headers(self._bucket))
            return answer

        return guarded

    def _note_busy(self) -> None:
        """Note the task that serves this request, the sending of its answer included."""
        task = asyncio.current_task()
        assert task is not None
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)

    async def _answer(self, endpoint: Endpoint, request: Request) -> Response:
        if not origin_allowed(request.headers.get("origin"), host=self._host):
            return refusal(403, "This origin may not use the server.", "invalid_origin")
        if not self._keys.accepts(offered_key(request.headers, [])):
            return refusal(401, "Incorrect API key provided.", "invalid_api_key")
        if self._draining:
            return _shutting_down()
        try:
            return await endpoint(request)
        except PROBLEMS as problem:
            return answer_to(problem)
        except ClientLeft:
            return _shutting_down() if self._stopping.is_set() else Response(status_code=CLIENT_LEFT_STATUS)
        except Exception as failure:
            logger.exception("answering %s failed", request.url.path)
            return answer_to(RealtimeError(f"The server failed: {type(failure).__name__}."))

    async def _list_models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._model]})

    async def _retrieve_model(self, request: Request) -> Response:
        asked = request.path_params["model"]
        if asked != self._model["id"]:
            return refusal(404, f"The model '{asked[:200]}' does not exist.", "model_not_found", "model")
        return JSONResponse(self._model)

    async def _create_secret(self, request: Request) -> Response:
        body = await read_body(request, MAX_BODY_BYTES)
        try:
            return JSONResponse(self._client_secrets.create(body))
        except RemoteProtocolError as problem:
            status = 429 if problem.code == "rate_limit_exceeded" else 400
            return refusal(status, problem.message, problem.code, problem.param)


def _shutting_down() -> JSONResponse:
    return refusal(503, "The server is shutting down.", "server_shutting_down")
