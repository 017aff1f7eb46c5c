"""What plain HTTP answers when something is wrong, in the service's error shape."""

from __future__ import annotations

from math import ceil
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from realtime_nb.errors import EngineOverloaded, RealtimeError, RemoteProtocolError
from realtime_nb.server.metering import RATE_LIMIT_EXCEEDED, RateLimited

_STATUS_OF_CODE = {"request_too_large": 413, "model_not_found": 404, "server_shutting_down": 503}


class ClientLeft(Exception):
    """Nobody waits for the answer any more."""


Problem = RateLimited | RealtimeError
PROBLEMS = (RateLimited, RealtimeError)


def refusal(status: int, message: str, code: str | None, param: str | None = None) -> JSONResponse:
    """Return an error as the service shapes it."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return JSONResponse({"error": error}, status_code=status)


def no_such_url(request: Request, problem: Exception) -> JSONResponse:
    """Answer a request that no route takes: an unknown path, or a known one with another method."""
    assert isinstance(problem, HTTPException)
    message = f"Invalid URL ({request.method} {request.url.path[:200]})"
    answer = refusal(problem.status_code, message, "unknown_url")
    answer.headers.update(problem.headers or {})
    return answer


def error_object(problem: Problem) -> dict[str, Any]:
    """Return the `error` of an answer or of a stream that breaks off."""
    match problem:
        case RemoteProtocolError():
            kind, code, param = "invalid_request_error", problem.code, problem.param
        case RateLimited():
            kind, code, param = "tokens", RATE_LIMIT_EXCEEDED, None
        case _:
            kind, code, param = "server_error", _code_of(problem), None
    return {"message": str(problem), "type": kind, "param": param, "code": code}


def answer_to(problem: Problem) -> JSONResponse:
    """Return the whole answer to a request that failed before it had one."""
    status, headers = 400, {}
    match problem:
        case RemoteProtocolError():
            status = _STATUS_OF_CODE.get(problem.code or "", 400)
        case RateLimited():
            status = 429
            headers = problem.headers
            if problem.wait_s is not None:
                headers["retry-after"] = str(ceil(problem.wait_s))
        case EngineOverloaded():
            status = 503
        case _:
            status = 500
    return JSONResponse({"error": error_object(problem)}, status_code=status, headers=headers)


def _code_of(problem: RealtimeError) -> str:
    return "inference_rate_limit_exceeded" if isinstance(problem, EngineOverloaded) else "server_error"
