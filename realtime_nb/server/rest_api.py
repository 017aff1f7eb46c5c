"""The plain HTTP side of the server: models and client secrets, with the service's error shape."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from realtime_nb.errors import RemoteProtocolError
from realtime_nb.server.admission import Keyring, offered_key, origin_allowed
from realtime_nb.server.client_secrets import ClientSecrets

MAX_BODY_BYTES = 1024 * 1024

Endpoint = Callable[[Request], Awaitable[Response]]


class RestApi:
    """Answers requests; a client secret opens sessions only and is no key here.

    Args:
        model: the one that this server has.
        host: where the server listens.
        keys: which keys are accepted.
        client_secrets: made here.
    """

    def __init__(self, *, model: str, host: str, keys: Keyring, client_secrets: ClientSecrets) -> None:
        self._model = {"id": model, "object": "model", "created": 0, "owned_by": "realtime-nb"}
        self._host = host
        self._keys = keys
        self._client_secrets = client_secrets

    def routes(self) -> list[Route]:
        """Return the routes, every one behind origin and key."""
        return [
            Route("/v1/models", self._guarded(self._list_models), methods=["GET"]),
            Route("/v1/models/{model:path}", self._guarded(self._retrieve_model), methods=["GET"]),
            Route("/v1/realtime/client_secrets", self._guarded(self._create_secret), methods=["POST"]),
        ]

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        async def guarded(request: Request) -> Response:
            if not origin_allowed(request.headers.get("origin"), host=self._host):
                return refusal(403, "This origin may not use the server.", "invalid_origin")
            if not self._keys.accepts(offered_key(request.headers, [])):
                return refusal(401, "Incorrect API key provided.", "invalid_api_key")
            return await endpoint(request)

        return guarded

    async def _list_models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._model]})

    async def _retrieve_model(self, request: Request) -> Response:
        asked = request.path_params["model"]
        if asked != self._model["id"]:
            return refusal(404, f"The model '{asked[:200]}' does not exist.", "model_not_found", "model")
        return JSONResponse(self._model)

    async def _create_secret(self, request: Request) -> Response:
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_BODY_BYTES:
                return refusal(413, f"The body is larger than {MAX_BODY_BYTES} bytes.", "request_too_large")
        try:
            return JSONResponse(self._client_secrets.create(body))
        except RemoteProtocolError as problem:
            status = 429 if problem.code == "rate_limit_exceeded" else 400
            return refusal(status, problem.message, problem.code, problem.param)


def refusal(status: int, message: str, code: str | None, param: str | None = None) -> JSONResponse:
    """Return an error as the service shapes it."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return JSONResponse({"error": error}, status_code=status)
