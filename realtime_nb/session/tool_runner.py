"""Runs the functions that the model calls: each call once, beside the conversation, one answer for all of them."""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from realtime_nb.errors import RealtimeError
from realtime_nb.protocol import client_events as ce
from realtime_nb.protocol import server_events as se
from realtime_nb.protocol.items import FunctionCall, FunctionCallOutput
from realtime_nb.protocol.response import ResponseOptions

from .tool_thread import in_own_thread
from .tools import Tool, ToolArgumentsRefused, Toolbox, ToolRequest

if TYPE_CHECKING:
    from .owner import SessionOwner

ToolStatus = Literal["running", "waiting_for_approval", "completed", "failed", "timed_out", "declined", "cancelled"]
MAX_OUTPUT_CHARACTERS = 100_000
REMEMBERED_CALLS = 2000


class ToolResult(msgspec.Struct, kw_only=True):
    """One call and how it went. Times are on the session's clock.

    Attributes:
        item_id: the item that asked for it.
        output: what the model was told, JSON text or a plain string.
        error: what went wrong, "" when nothing did.
        waited_ms: how much of the time was spent waiting for approval.
    """

    call_id: str
    item_id: str = ""
    name: str
    arguments: str
    status: ToolStatus = "running"
    output: str = ""
    error: str = ""
    started_ms: float = 0.0
    waited_ms: float = 0.0
    ended_ms: float | None = None

    @property
    def duration_ms(self) -> float | None:
        """How long it ran, without the wait for approval; None while it runs."""
        return None if self.ended_ms is None else self.ended_ms - self.started_ms - self.waited_ms


class _Batch(msgspec.Struct):
    """The calls of one response; answered with one `response.create` when all are in."""

    response_id: str
    running: set[str]
    response_done: bool = False
    foreign: bool = False


class ToolRunner:
    """Follows one session's calls. On the session's loop.

    Calls of functions that are not in the toolbox are left to the caller, who then also asks for the response.
    """

    def __init__(self, owner: SessionOwner) -> None:
        self.toolbox = Toolbox()
        self.results: dict[str, ToolResult] = {}
        self._owner = owner
        self._batches: dict[str, _Batch] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._approvals: dict[str, asyncio.Future[bool]] = {}
        self._speaking = False
        self._due = False

    # --- events -------------------------------------------------------------------------------------------------

    def take(self, event: object) -> None:
        """Follow one received event."""
        match event:
            case se.OutputItemDone() if isinstance(event.item, FunctionCall):
                self._called(event.response_id, event.item)
            case se.ResponseCreated() if event.response.conversation_id is not None:
                self._due = False
            case se.ResponseDone():
                batch = self._batches.get(event.response.id)
                if batch is not None:
                    batch.response_done = True
                    self._close_if_complete(batch)
                self._respond_if_due()
            case se.SpeechStarted():
                self._speaking = True
            case se.SpeechStopped() | se.InputAudioBufferCommitted():
                self._speaking = False
            case se.InputAudioBufferCleared():  # what was being said is void, and nothing will answer it
                self._speaking = False
                self._respond_if_due()
            case se.SessionUpdated() if self._owner.protocol.config.audio.input.turn_detection is None:
                self._speaking = False
                self._respond_if_due()

    def pending(self, response_id: str) -> bool:
        """Whether the answer to this response's calls is still to come."""
        return response_id in self._batches

    def approve(self, call_id: str, *, approved: bool) -> bool:
        """Decide on a call that waits for approval; False when none of that id waits."""
        waiting = self._approvals.get(call_id)
        if waiting is None or waiting.done():
            return False
        waiting.set_result(approved)
        return True

    def cancel(self, call_id: str | None = None) -> int:
        """Stop one running call, or all; the model is told. Returns how many were stopped."""
        tasks = [task for key, task in self._tasks.items() if call_id in (None, key) and not task.done()]
        for task in tasks:
            self._owner.loop.call_soon(task.cancel)  # after its first step: one that never began could not answer
        return len(tasks)

    def forget(self, response_id: str) -> None:
        """A response was given up: its calls go on, but nobody waits for them and no response is asked for."""
        self._batches.pop(response_id, None)

    def connection_lost(self) -> None:
        """Stop what runs: the calls belong to a conversation that is gone; what was answered is kept in `results`."""
        self._batches.clear()
        self._due = self._speaking = False
        for result in self.results.values():
            if result.status in ("running", "waiting_for_approval"):
                result.status, result.error = "cancelled", "The connection broke."
                result.ended_ms = self._owner.now_ms()
                self._tell(result)
        self.cancel()

    # --- one call -----------------------------------------------------------------------------------------------

    def _called(self, response_id: str, call: FunctionCall) -> None:
        call_id = str(call.call_id)
        if call_id in self.results or call.status == "incomplete":  # cut short in the middle of its arguments
            return
        batch = self._batches.setdefault(response_id, _Batch(response_id, set()))
        if call.name not in self.toolbox:
            batch.foreign = True
            return
        result = ToolResult(
            call_id=call_id,
            item_id=str(call.id),
            name=call.name,
            arguments=call.arguments,
            started_ms=self._owner.now_ms(),
        )
        self.results[call_id] = result
        self._tell(result)
        while len(self.results) > REMEMBERED_CALLS:
            del self.results[next(iter(self.results))]
        batch.running.add(call_id)
        turn = self._owner.turns.turns.get(response_id)
        if turn is not None:
            turn.tool_results.append(result)
            turn.calls_tools = True
        self._tasks[call_id] = self._owner.chore(self._work(self.toolbox[call.name], result, batch))

    async def _work(self, tool: Tool, result: ToolResult, batch: _Batch) -> None:
        filler = self._owner.chore(self._fill(tool)) if tool.filler else None
        try:
            await self._run(tool, result)
        except asyncio.CancelledError:
            if self._owner.state != "connected":
                raise
            self._fail(result, "cancelled", "The user cancelled this call.")
        finally:
            if filler is not None:
                filler.cancel()
            result.ended_ms = self._owner.now_ms()
            self._tasks.pop(result.call_id, None)
        if self._owner.state == "connected":
            output = FunctionCallOutput(call_id=result.call_id, output=result.output)
            self._owner.send(ce.ConversationItemCreate(item=output))
            batch.running.discard(result.call_id)
            self._close_if_complete(batch)
        self._tell(result)
        self._owner.observers.tell("on_tool_result", result)

    async def _run(self, tool: Tool, result: ToolResult) -> None:
        """Run one call and note how it went. Raises cancellation only: every call must be answered."""
        limit = asyncio.timeout(tool.timeout_s)
        try:
            arguments = tool.bind(result.arguments)
            if not await self._approved(tool, result, arguments):
                return
            if result.status != "running":
                result.status = "running"
                self._tell(result)
            async with limit:
                value = await called_with(tool, arguments)
            result.output, result.status = as_output(value), "completed"
        except ToolArgumentsRefused as refused:
            self._fail(result, "failed", f"The arguments do not fit: {refused}")
        except (Exception, SystemExit) as error:
            if isinstance(error, TimeoutError) and limit.expired():
                self._fail(result, "timed_out", f"{tool.name} did not answer within {tool.timeout_s:g} s.")
                return
            self._fail(result, "failed", f"{type(error).__name__}: {error}")
            self._owner.observers.tell(
                "on_notice", "warning", f"The tool {tool.name} raised {type(error).__name__}: {error}", ""
            )

    async def _approved(self, tool: Tool, result: ToolResult, arguments: dict[str, Any]) -> bool:
        """Return whether it may run, and note why when it may not. Raises what the hook raises."""
        if tool.approval == "never":
            return True
        request = ToolRequest(call_id=result.call_id, name=result.name, arguments=arguments)
        limit = asyncio.timeout(tool.approval_timeout_s)
        try:
            async with limit:
                approved = await self._decision(tool, result, request)
        except TimeoutError:
            if not limit.expired():
                raise
            waited_s = tool.approval_timeout_s
            self._fail(result, "timed_out", f"Nobody approved this call within {waited_s:g} s, so it was not run.")
            return False
        finally:
            result.waited_ms = self._owner.now_ms() - result.started_ms
        if not approved:
            self._fail(result, "declined", "The user declined this call.")
        return approved

    async def _decision(self, tool: Tool, result: ToolResult, request: ToolRequest) -> bool:
        if callable(tool.approval):
            answer = tool.approval(request)
            return bool(await answer) if inspect.isawaitable(answer) else bool(answer)
        result.status = "waiting_for_approval"
        waiting: asyncio.Future[bool] = self._owner.loop.create_future()
        self._approvals[result.call_id] = waiting
        self._tell(result)
        self._owner.observers.tell("on_tool_approval", request)
        try:
            return await waiting
        finally:
            self._approvals.pop(result.call_id, None)

    async def _fill(self, tool: Tool) -> None:
        """Say the filler, out of band, when the call takes long and nothing else is being said."""
        await asyncio.sleep(tool.filler_after_s)
        if self._owner.protocol.active_default is None and not self._speaking:
            options = ResponseOptions(
                conversation="none", input=[], tool_choice="none", instructions=f'Say exactly this: "{tool.filler}"'
            )
            self._owner.send(ce.ResponseCreate(response=options))

    def _fail(self, result: ToolResult, status: ToolStatus, error: str) -> None:
        result.status, result.error = status, error
        result.output = as_output({"error": error})

    def _tell(self, result: ToolResult) -> None:
        self._owner.observers.tell("on_tool_call", msgspec.structs.replace(result))

    # --- the answer ---------------------------------------------------------------------------------------------

    def _close_if_complete(self, batch: _Batch) -> None:
        if not batch.response_done or batch.running:
            return
        self._batches.pop(batch.response_id, None)
        if not batch.foreign:
            self._due = True
            self._respond_if_due()

    def _respond_if_due(self) -> None:
        """Ask for one response, as soon as nothing else is being generated or said."""
        protocol = self._owner.protocol
        if self._due and not self._speaking and protocol.active_default is None and not protocol.creates_pending:
            self._due = False
            try:
                self._owner.send(ce.ResponseCreate())
            except RealtimeError as error:
                self._owner.observers.tell("on_notice", "warning", error.message, error.what_now)


async def called_with(tool: Tool, arguments: dict[str, Any]) -> Any:
    """Call a tool's function and return its value: sync ones in a thread of their own, async ones here."""
    if inspect.iscoroutinefunction(tool.function):
        return await tool.function(**arguments)
    value = await in_own_thread(functools.partial(tool.function, **arguments))
    return await value if inspect.isawaitable(value) else value


def as_output(value: Any) -> str:
    """Return what the model is told: a string as it is, anything else as JSON, cut at 100,000 characters."""
    text = value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=_as_builtin).decode()
    if len(text) > MAX_OUTPUT_CHARACTERS:
        return text[:MAX_OUTPUT_CHARACTERS] + f"… (cut: {len(text)} characters)"
    return text


def _as_builtin(value: Any) -> Any:
    for method in ("model_dump", "to_dict", "tolist"):
        if hasattr(value, method):
            return getattr(value, method)()
    return repr(value)
