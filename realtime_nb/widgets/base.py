"""What every widget with a media link shares: the face on the kernel's threads and the desk on the runtime loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pathlib
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import anywidget

from realtime_nb.errors import ConfigurationError, RealtimeError
from realtime_nb.runtime import Runtime, runtime
from realtime_nb.widgets import messages
from realtime_nb.widgets.cell_ties import tie_to_cell
from realtime_nb.widgets.comm_socket import pin_comm_routing, refuse_broken_ipykernel
from realtime_nb.widgets.link_client import BinaryFrame, LinkClient
from realtime_nb.widgets.media_link import MediaLink, hub

__all__ = ["STATIC", "BundledWidget", "Desk", "LinkedWidget", "bundled", "in_words"]

STATIC = pathlib.Path(__file__).parent / "static"
CLOSE_TIMEOUT_S = 5.0
MAX_RUNNING_COMMANDS = 32
BUILD_HINT = "In a checkout build it with: make frontend (needs Node); or install the package from its wheel."

logger = logging.getLogger(__name__)

CommandHandler = Callable[[LinkClient, messages.Command], Coroutine[Any, Any, dict[str, Any] | None]]


@dataclass(frozen=True)
class MissingBundle:
    """Stands where a built file should be, so that the module imports without it."""

    path: pathlib.Path


def bundled(name: str) -> pathlib.Path | MissingBundle:
    """The path of a built front-end file, or a marker that it is missing."""
    path = STATIC / name
    return path if path.is_file() else MissingBundle(path)


class BundledWidget(anywidget.AnyWidget):
    """A widget whose front end is a built bundle in `static/`.

    Raises:
        ConfigurationError: the bundle was not built, or ipykernel is 7.0.*.
    """

    def __init__(self, **traits: Any) -> None:
        refuse_broken_ipykernel()
        self._demand_bundle()
        super().__init__(**traits)
        pin_comm_routing(self.comm)

    def _demand_bundle(self) -> None:
        kind = type(self)
        for name in ("_esm", "_css"):
            missing = getattr(kind, name, None)
            if not isinstance(missing, MissingBundle):
                continue
            if not missing.path.is_file():
                raise ConfigurationError(
                    f"The front end of {kind.__name__} is not built: {missing.path.name} is missing.",
                    what_now=BUILD_HINT,
                )
            setattr(kind, name, missing.path.read_text("utf-8"))

    def _static_html(self) -> str:
        return ""

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if isinstance(data, dict):
            with contextlib.suppress(RealtimeError, TimeoutError):
                data.setdefault("text/html", self._static_html())
        return bundle


class Desk:
    """The part of a linked widget that lives on the runtime loop: its link, its tasks, its commands.

    Args:
        engine_room: the runtime.
        send: the widget's `send(content, buffers)`.
    """

    def __init__(self, engine_room: Runtime, send: Callable[[dict[str, Any], list[bytes] | None], None]) -> None:
        self.runtime = engine_room
        self.closed = False
        self._send = send
        self._tasks: set[asyncio.Task[Any]] = set()
        self._link: MediaLink | None = None
        self._commands: dict[str, CommandHandler] = {"activate": self._activate}

    @property
    def link(self) -> MediaLink:
        """The media link, made on first use on the runtime loop."""
        if self._link is None:
            self._link = MediaLink(hub(self.runtime), self)
        return self._link

    @property
    def busy(self) -> bool:
        """Whether so many commands are running that the next is refused."""
        return len(self._tasks) >= MAX_RUNNING_COMMANDS

    def from_comm(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        """Take a custom message of the comm."""
        if self.closed:
            return
        if content.get("type") == "link_request":
            self.spawn(self._offer(str(content.get("client_id", "")), str(content.get("page_origin", ""))))
        else:
            self.link.receive_comm(content, buffers, self._send)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something that ends with the widget; its failure becomes a notice."""
        task = self.runtime.loop.create_task(work)
        self.keep(task)
        task.add_done_callback(self._tell_failure)
        return task

    def keep(self, task: asyncio.Task[Any]) -> None:
        """Own a task: it is cancelled with the widget."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def notify(self, error: BaseException, level: Any = "error") -> None:
        """Tell every view what went wrong."""
        message, what_now = in_words(error)
        self.link.broadcast(messages.Notice(level=level, message=message, what_now=what_now))

    async def close(self) -> None:
        """End tasks and link. Idempotent."""
        self.closed = True
        tasks = self._tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT_S)
        if self._link is not None:
            await self._link.close()

    def on_join(self, client: LinkClient) -> None:
        """A view is up."""

    def on_leave(self, client: LinkClient) -> None:
        """A view is gone."""

    def on_active(self, client: LinkClient | None) -> None:
        """Another view carries the audio."""

    def on_binary(self, client: LinkClient, frame: BinaryFrame) -> None:
        """Binary from a view."""

    def on_message(self, client: LinkClient, message: messages.Message) -> None:
        """Text from a view; commands are answered once each."""
        if isinstance(message, messages.Command):
            if self.busy:
                error = RealtimeError("Too many commands are still running.", what_now="Wait a moment and try again.")
                client.send(_failed(message.id, error))
            else:
                self.spawn(self._answer(client, message))

    async def _answer(self, client: LinkClient, command: messages.Command) -> None:
        handler = self._commands.get(command.name)
        try:
            if handler is None:
                raise RealtimeError(
                    f"The kernel does not know the command {command.name!r}.",
                    what_now="Reload the page so that front end and Python package match.",
                )
            result = await handler(client, command)
        except Exception as error:
            if not isinstance(error, RealtimeError):
                logger.exception("The command %s failed.", command.name)
            client.send(_failed(command.id, error))
        else:
            client.send(messages.CommandResult(id=command.id, ok=True, result=result or {}))

    async def _activate(self, client: LinkClient, command: messages.Command) -> None:
        self.link.activate(client.client_id)

    async def _offer(self, client_id: str, page_origin: str) -> None:
        self._send(await self.link.offer(client_id, page_origin), None)

    def _tell_failure(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self.closed:
            if not isinstance(error, RealtimeError):
                logger.error("A task of a widget failed.", exc_info=error)
            self.notify(error)


class LinkedWidget(BundledWidget):
    """Base of the widgets that move audio. The link, its tasks and audio live on the runtime loop, in a `Desk`."""

    def __init__(self, **traits: Any) -> None:
        self._closing = False
        self._runtime = runtime()
        super().__init__(**traits)
        self._desk = self._make_desk()
        self.on_msg(self._from_comm)
        tie_to_cell(self)

    def _make_desk(self) -> Desk:
        raise NotImplementedError

    def _from_comm(self, widget: Any, content: Any, buffers: Any) -> None:
        if isinstance(content, dict) and not self._closing:
            copies = [bytes(buffer) for buffer in buffers or ()]
            with contextlib.suppress(RuntimeError, RealtimeError):
                self._runtime.loop.call_soon_threadsafe(self._desk.from_comm, content, copies)

    def close(self) -> None:
        """Stop microphone and playback, end the link, remove the views. Idempotent."""
        if not getattr(self, "_closing", True):
            self._closing = True
            desk = getattr(self, "_desk", None)
            if desk is not None and self._runtime.running and not sys.is_finalizing():
                if self._runtime.on_runtime_thread:
                    self._runtime.submit(desk.close())
                else:
                    with contextlib.suppress(TimeoutError):
                        self._runtime.run(desk.close(), CLOSE_TIMEOUT_S * 2)
        super().close()


def in_words(error: BaseException) -> tuple[str, str]:
    """What happened and what to do, for a notice."""
    if isinstance(error, RealtimeError):
        return error.message, error.what_now
    return f"Something unexpected went wrong ({type(error).__name__}: {error}).", "Run the cell again; see the log."


def _failed(command_id: int, error: BaseException) -> messages.CommandResult:
    message, what_now = in_words(error)
    return messages.CommandResult(id=command_id, ok=False, error=message, what_now=what_now)
