"""A page with one of our widgets and a kernel that is a script: the front end without JupyterLab."""

from __future__ import annotations

import json
import queue
import struct
import threading
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

import realtime_nb
from realtime_nb.widgets import messages

STATIC = Path(realtime_nb.__file__).parent / "widgets" / "static"
TOKEN = "token-of-the-test"
MAX_KEPT = 100_000
UNUSED_PORT = 9

PAGE = """<!doctype html><meta charset="utf-8"><title>realtime_nb</title>
<meta name="viewport" content="width=device-width">
<style>body {{ margin: 0; padding: 12px; {body_style} }}</style>
<link rel="stylesheet" href="/{widget}.css"><body {body_attributes}><div id="here"></div>
<script type="module">
import create from "/{widget}.js";
const widget = create();
const traits = {traits};
for (const name of ["peaks"]) if (traits[name]) traits[name] = new DataView(Int8Array.from(traits[name]).buffer);
const handlers = new Map();
const fire = (name, ...values) => (handlers.get(name) ?? []).forEach((run) => run(...values));
globalThis.sent = [];
globalThis.answerComm = () => {{}};
const model = {{
  get: (name) => traits[name],
  on: (name, run) => handlers.set(name, [...(handlers.get(name) ?? []), run]),
  off: (name, run) => handlers.set(name, (handlers.get(name) ?? []).filter((other) => other !== run)),
  send(content, callbacks, buffers) {{
    sent.push([content, (buffers ?? []).map((buffer) => buffer.byteLength)]);
    if (content.type === "link_request") {{
      const offer = {{ type: "link_offer", client_id: content.client_id, port: {port}, token: "{token}" }};
      setTimeout(() => fire("msg:custom", offer, []), 5);
    }}
    if (content.type === "link") answerComm(content, buffers ?? []);
  }},
}};
globalThis.fire = fire;
globalThis.handlerCount = () => [...handlers.values()].reduce((total, list) => total + list.length, 0);
const abort = new AbortController();
globalThis.endModel = widget.initialize({{ model, signal: abort.signal }});
globalThis.addView = () => {{
  const el = document.createElement("div");
  document.getElementById("here").append(el);
  const end = widget.render({{ model, el, signal: abort.signal }});
  return () => {{ end(); el.remove(); }};
}};
globalThis.views = [addView()];
</script></body>"""


class Received(NamedTuple):
    """A binary message of the browser, taken apart."""

    kind: int
    stream_id: int
    sequence: int
    time_client_ms: float
    payload: bytes


class ScriptedKernel:
    """Serves the page and the link; a context manager. One connection is current at a time: the newest.

    Args:
        widget: "studio", "recorder", …
        traits: the model's traits.
        socket: False makes the page look for the socket where none is, so that only comm is left.
        body_attributes: of the page's body, such as JupyterLab's theme marks.
        body_style: CSS of the body.
        on_command: gets each command and returns what to answer beside its result.
    """

    def __init__(
        self,
        widget: str = "studio",
        *,
        traits: dict[str, Any] | None = None,
        body_attributes: str = "",
        body_style: str = "",
        answer_pings: bool = True,
        socket: bool = True,
        on_command: Callable[[messages.Command], Sequence[messages.Message]] = lambda command: (),
    ) -> None:
        self.widget, self.traits = widget, traits or {}
        self.body_attributes, self.body_style = body_attributes, body_style
        self.answer_pings = answer_pings
        self.socket = socket
        self.on_command = on_command
        self.texts: queue.Queue[Any] = queue.Queue(MAX_KEPT)
        self.binaries: queue.Queue[Received] = queue.Queue(MAX_KEPT)
        self.ready = threading.Event()
        self.connection: ServerConnection | None = None

    def __enter__(self) -> ScriptedKernel:
        self._server = serve(self._talk, "127.0.0.1", 0, process_request=self._http, compression=None, max_size=None)
        self.port = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="scripted-kernel")
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.connection is not None:
            self.connection.close()
        self._server.shutdown()
        self._thread.join(timeout=10)

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://127.0.0.1:{self.port}/"

    def send(self, *sent: messages.Message) -> None:
        """Send text messages on the current link."""
        assert self.connection is not None
        for message in sent:
            self.connection.send(msgspec.json.encode(message).decode())

    def send_audio(self, stream_id: int, pcm16: bytes, *, chunk_bytes: int = 9600) -> None:
        """Send PCM16 24 kHz in chunks as fast as it goes."""
        assert self.connection is not None
        for sequence, at in enumerate(range(0, len(pcm16), chunk_bytes)):
            header = messages.BINARY_HEADER.pack(messages.KIND_PLAYBACK, 0, 0, stream_id, sequence, 0.0)
            self.connection.send(header + pcm16[at : at + chunk_bytes])

    def drop_link(self) -> None:
        """Cut the link as a dying proxy does."""
        self.ready.clear()
        assert self.connection is not None
        self.connection.close()

    def wait_for(self, kind: type[Any], matches: Callable[[Any], bool] = lambda message: True) -> Any:
        """Next message of `kind` that matches; earlier ones are dropped.

        Raises:
            queue.Empty: none came for 15 s.
        """
        while True:
            message = self.texts.get(timeout=15)
            if isinstance(message, kind) and matches(message):
                return message

    def _talk(self, connection: ServerConnection) -> None:
        hello = _decode(str(connection.recv(timeout=10)))
        if not isinstance(hello, messages.Hello) or hello.token != TOKEN:
            connection.send(msgspec.json.encode(messages.Refused(reason="wrong token", what_now="Reload.")).decode())
            return
        self.connection = connection
        self.send(messages.Ready(client_id=hello.client_id, active=True))
        self.texts.put(hello)
        self.ready.set()
        try:
            for data in connection:
                if isinstance(data, bytes):
                    kind, _, _, *rest = messages.BINARY_HEADER.unpack_from(data)
                    self.binaries.put(Received(kind, *rest, data[messages.BINARY_HEADER.size :]))
                else:
                    self._take(_decode(data))
        except ConnectionClosed:
            pass

    def _take(self, message: Any) -> None:
        if isinstance(message, messages.ClientPing):
            if self.answer_pings:
                self.send(messages.ClientPong(ping_id=message.ping_id, time_client_ms=message.time_client_ms))
            return
        self.texts.put(message)
        if isinstance(message, messages.Command):
            self.send(*self.on_command(message), messages.CommandResult(id=message.id, ok=True))

    def _http(self, connection: ServerConnection, request: Request) -> Response | None:
        if "Upgrade" in request.headers:
            return None
        name = request.path.strip("/")
        if name == "":
            return _respond("text/html", self._page().encode())
        file = STATIC / name
        if file.suffix not in {".js", ".css"} or not file.is_file():
            return connection.respond(HTTPStatus.NOT_FOUND, "not here\n")
        return _respond("text/javascript" if file.suffix == ".js" else "text/css", file.read_bytes())

    def _page(self) -> str:
        return PAGE.format(
            widget=self.widget,
            traits=json.dumps(self.traits),
            port=self.port if self.socket else UNUSED_PORT,
            token=TOKEN,
            body_attributes=self.body_attributes,
            body_style=self.body_style,
        )


def _decode(text: str) -> Any:
    return msgspec.json.decode(text, type=messages.ToKernel)


def _respond(kind: str, body: bytes) -> Response:
    headers = Headers({"Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(body))})
    return Response(HTTPStatus.OK.value, "OK", headers, body)


def pcm16(samples: Sequence[int]) -> bytes:
    """Little-endian PCM16."""
    return struct.pack(f"<{len(samples)}h", *samples)
