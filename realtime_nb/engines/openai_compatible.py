"""A chat model behind any `/v1/chat/completions` endpoint: Ollama, llama.cpp, vLLM, hosted providers.

The `openai` package does the talking; it is imported only when an engine starts (its import takes most of a second).
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from typing import Any

import anyio

from realtime_nb.engines.base import Capabilities, ChatDelta, ChatMessage, ChatRequest, ChatTool, TextDelta, ToolCall
from realtime_nb.errors import EngineError, EngineOverloaded, EngineUnavailable, MissingExtra, RealtimeError

_INAUDIBLE = "[inaudible]"
"""For speech without a word: many servers refuse an empty message, and models know what to say to this."""
_THINK_OPEN, _THINK_CLOSE = "<think>", "</think>"


def create(
    base_url: str, model: str | None = None, api_key: str | None = None, *, timeout_s: float = 60.0
) -> OpenAICompatibleChat:
    """Return a chat model; nothing is contacted before `start` or the first `reply`.

    Args:
        base_url: up to and including the version, for example "http://localhost:11434/v1".
        model: its name there; None asks the server and takes the first that it lists.
        api_key: the key, for servers that want one.
        timeout_s: longest wait for the next piece of an answer.
    """
    return OpenAICompatibleChat(base_url.rstrip("/"), model, api_key, timeout_s)


class OpenAICompatibleChat:
    """See `create`. Closing a `reply` closes its connection, which stops the work at the server."""

    def __init__(self, base_url: str, model: str | None, api_key: str | None, timeout_s: float) -> None:
        self.base_url = base_url
        self.model = model
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._client: Any = None
        self._starting = anyio.Lock()
        self.capabilities = Capabilities(
            name=model or "openai-compatible",
            licence="of the model",
            description=f"chat completions at {base_url}",
            streaming=True,
            tools=True,
            vision=True,
        )

    async def start(self) -> None:
        """Connect and find a model. Calling twice is fine.

        Raises:
            MissingExtra: `openai` is not installed.
            EngineError: the server cannot be reached, refuses the key, or has no model.
        """
        async with self._starting:
            if self._client is None:
                openai = await anyio.to_thread.run_sync(_import_openai)
                self._client = openai.AsyncOpenAI(
                    base_url=self.base_url,
                    api_key=self._api_key or "no-key",
                    timeout=self._timeout_s,
                    max_retries=0,
                )
            if self.model is None:
                self.model = await self._first_model()

    async def reply(self, request: ChatRequest) -> AsyncIterator[ChatDelta]:
        await self.start()
        calls: list[dict[str, str]] = []
        visible = _ThinkFilter()
        try:
            stream = await self._client.chat.completions.create(model=self.model, stream=True, **_body(request))
            async with stream:
                async for chunk in stream:
                    if not chunk.choices:
                        continue
                    delta = chunk.choices[0].delta
                    if text := visible.push(delta.content or ""):
                        yield TextDelta(text)
                    for piece in delta.tool_calls or ():
                        _add_call_piece(calls, piece)
        except (RealtimeError, GeneratorExit):
            raise
        except Exception as error:
            raise await self._explain(error) from error
        if text := visible.end():
            yield TextDelta(text)
        for call in calls:
            yield ToolCall(call["name"], call["arguments"] or "{}")

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _first_model(self) -> str:
        try:
            async for model in self._client.models.list():
                return str(model.id)
        except Exception as error:
            explained = await self._explain(error)
            await self.aclose()
            raise explained from error
        await self.aclose()
        raise EngineUnavailable(
            f"The chat server at {self.base_url} has no model.",
            what_now="Load one there first (for Ollama: ollama pull NAME), or name one in the address.",
        )

    async def _explain(self, error: Exception) -> Exception:
        """Return what `error` means to a reader; anything that is not the server's or the network's stays as it is."""
        openai = _import_openai()
        where = f"The chat server at {self.base_url}"
        if isinstance(error, openai.APITimeoutError):
            return EngineError(
                f"{where} sent nothing for {self._timeout_s:g} s.",
                what_now="The model may still be loading: try again, or choose a smaller one.",
            )
        if isinstance(error, openai.APIConnectionError):
            return EngineUnavailable(
                f"{where} cannot be reached.", what_now="Start it (for Ollama: ollama serve) and check the address."
            )
        if isinstance(error, openai.APIStatusError):
            return await self._explain_status(where, error)
        if isinstance(error, openai.APIError):
            return EngineError(f"{where} failed during the answer: {error.message}.", what_now="See the server's log.")
        if type(error).__module__.split(".")[0] in ("httpx", "httpcore", "httpx2", "httpcore2"):
            return EngineError(f"{where} broke off its answer.", what_now="See the server's log, then ask again.")
        return error

    async def _explain_status(self, where: str, error: Any) -> EngineError:
        said = f"{where} answered {error.status_code}: {_message(error)}"
        if error.status_code in (401, 403):
            return EngineUnavailable(said, what_now="Give the right key with chat_api_key=.")
        if error.status_code == 404:
            return EngineUnavailable(said, what_now=await self._advise_model())
        if error.status_code == 429:
            return EngineOverloaded(said, what_now="Wait a moment, then ask again.")
        if error.status_code < 500:
            return EngineError(
                said, what_now=f"{self.model} may not take tools or images: try without, or another model."
            )
        return EngineError(said, what_now="See the server's log, then ask again.")

    async def _advise_model(self) -> str:
        try:
            names = [model.id async for model in self._client.models.list()]
        except Exception:
            return "Check the address: it ends in /v1 for most servers."
        return f"Models there: {', '.join(names[:12]) or 'none'}; this one was asked for: {self.model}."


def _import_openai() -> Any:
    try:
        return importlib.import_module("openai")
    except ModuleNotFoundError as error:
        raise MissingExtra("The openai package", extra="embedded") from error


def _message(error: Any) -> str:
    body = error.body
    if isinstance(body, dict):
        inner = body.get("error", body)
        text = inner.get("message") if isinstance(inner, dict) else inner
        if text:
            return str(text).rstrip(".") + "."
    return str(error.message).rstrip(".")[:300] + "."


def _body(request: ChatRequest) -> dict[str, Any]:
    body: dict[str, Any] = {"messages": _messages(request)}
    if request.max_output_tokens is not None:
        body["max_tokens"] = request.max_output_tokens
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        named = request.tool_choice not in ("none", "auto", "required")
        body["tool_choice"] = (
            {"type": "function", "function": {"name": request.tool_choice}} if named else request.tool_choice
        )
    return body


def _tool(tool: ChatTool) -> dict[str, Any]:
    parameters = tool.parameters or {"type": "object", "properties": {}}
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": parameters},
    }


def _messages(request: ChatRequest) -> list[dict[str, Any]]:
    """Chat servers want every call followed at once by its output; a realtime conversation promises neither."""
    messages: list[dict[str, Any]] = []
    if request.instructions:
        messages.append({"role": "system", "content": request.instructions})
    outputs = {m.call_id: m for m in request.messages if m.role == "tool_output"}
    called = {m.call_id for m in request.messages if m.role == "tool_call"}
    for message in request.messages:
        if message.role == "tool_call":
            output = outputs.get(message.call_id)
            messages += [_call(message), _output(message.call_id, output.text if output else "No result yet.")]
        elif message.role == "tool_output":
            if message.call_id not in called:
                messages.append({"role": "user", "content": f"[Output of a tool: {message.text}]"})
        else:
            messages.append({"role": message.role, "content": _content(message)})
    return messages


def _call(message: ChatMessage) -> dict[str, Any]:
    function = {"name": message.name or "unknown", "arguments": message.text or "{}"}
    call = {"id": message.call_id or "call", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _output(call_id: str | None, text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id or "call", "content": text}


def _content(message: ChatMessage) -> str | list[dict[str, Any]]:
    if not message.image_urls:
        return message.text or (_INAUDIBLE if message.role == "user" else "")
    images = [{"type": "image_url", "image_url": {"url": url}} for url in message.image_urls]
    return [{"type": "text", "text": message.text}, *images] if message.text else images


def _add_call_piece(calls: list[dict[str, str]], piece: Any) -> None:
    """Collect a call from its pieces; a new id starts a new call (some servers give every call the index 0)."""
    identity = piece.id or ""
    name = (piece.function.name if piece.function else None) or ""
    index = str(piece.index)
    same = [call for call in calls if call["index"] == index]
    if not same or (identity and same[-1]["id"] and identity != same[-1]["id"]):
        calls.append({"index": index, "id": identity, "name": "", "arguments": ""})
        same = calls[-1:]
    same[-1]["name"] = same[-1]["name"] or name
    same[-1]["arguments"] += (piece.function.arguments if piece.function else None) or ""


class _ThinkFilter:
    """Takes `<think>…</think>` out of a stream of text: thoughts are not to be spoken."""

    def __init__(self) -> None:
        self._held = ""
        self._inside = False

    def push(self, text: str) -> str:
        self._held += text
        out = ""
        while True:
            mark = _THINK_CLOSE if self._inside else _THINK_OPEN
            before, found, after = self._held.partition(mark)
            if not found:
                break
            out += "" if self._inside else before
            self._held, self._inside = (after if not self._inside else after.lstrip()), not self._inside
        longest = min(len(mark) - 1, len(self._held))
        keep = next((n for n in range(longest, 0, -1) if mark.startswith(self._held[-n:])), 0)
        ready, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return out + ("" if self._inside else ready)

    def end(self) -> str:
        held, self._held = self._held, ""
        return "" if self._inside else held
