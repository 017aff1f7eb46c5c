"""Responses being produced: from the conversation through a production to the wire, to exactly one end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from realtime_nb.audio.format import WIRE_SAMPLE_RATE_HZ
from realtime_nb.engines.base import ChatMessage, ChatRequest
from realtime_nb.errors import EngineError, EngineOverloaded
from realtime_nb.protocol.server_response import ResponseSettings, ServerResponse
from realtime_nb.server.context import chat_request
from realtime_nb.server.context_window import ContextFull, ContextWindow, Reading
from realtime_nb.server.hearing import Ears
from realtime_nb.server.metering import RATE_LIMIT_EXCEEDED, Meter, RateLimited, room_for_audio_ms, room_for_text
from realtime_nb.server.output_audio import OutputEncoder
from realtime_nb.server.production import Broke, Called, Ended, Piece, Production, Spoken, Written
from realtime_nb.server.wire import Wire

CONTEXT_FULL = "context_length_exceeded"

logger = logging.getLogger(__name__)


class Draft:
    """A production under way, and what it was made for. Nothing of it is on the wire until it is claimed."""

    def __init__(self, wire: Wire, settings: ResponseSettings, request: ChatRequest) -> None:
        self.settings = settings
        self.request = request
        self.production = Production(request, wire.engines, voice=settings.voice, speed=settings.speed)
        self._task = wire.spawn(self.production.run(), name="reply-production")

    def fits(self, settings: ResponseSettings, request: ChatRequest) -> bool:
        """Whether it is just what would be made now."""
        return self.settings == settings and self.request == request

    def discard(self) -> None:
        """Stop the work and forget it. Calling twice is fine."""
        self._task.cancel()


class Replies:
    """All responses of one connection; out-of-band ones run beside the default conversation's.

    Args:
        wire: of the connection.
        ears: knows what users said.
        meter: counts tokens.
        window: what of the conversation a model still reads.
        longest_tokens: of a reply whose settings allow any length.
    """

    def __init__(self, wire: Wire, ears: Ears, meter: Meter, window: ContextWindow, *, longest_tokens: int) -> None:
        self._wire = wire
        self._ears = ears
        self._meter = meter
        self._window = window
        self._longest_tokens = longest_tokens
        self._writing: dict[str, asyncio.Task[None]] = {}
        self.quiet = asyncio.Event()
        """Set while no response is in progress."""
        self.quiet.set()
        self.on_end: Callable[[ServerResponse], None] = lambda response: None
        """Called after every response's end."""

    def start(self, response: ServerResponse, draft: Draft | None = None) -> None:
        """Write a response to its end, out of `draft` if that still fits."""
        self.quiet.clear()
        task = self._wire.spawn(self._write(response, draft), name=f"reply-{response.id}")
        self._writing[response.id] = task
        task.add_done_callback(lambda _: self._writing.pop(response.id, None))

    def stopped(self, response: ServerResponse) -> None:
        """A response was cancelled and has its end; stop all work on it at once."""
        task = self._writing.get(response.id)
        if task is not None:
            task.cancel()
        self._after(response)

    def request(self, settings: ResponseSettings, *more: ChatMessage) -> ChatRequest:
        """Return what the chat model would read now; `more` are messages that are not items yet.

        Raises:
            ContextFull: the conversation does not fit into the model's context.
        """
        return chat_request(settings, self._reading(settings).items, self._ears.transcripts, *more)

    def _reading(self, settings: ResponseSettings) -> Reading:
        protocol = self._wire.protocol
        items = settings.input if settings.input is not None else protocol.conversation
        return self._window.fit(settings, items, protocol.spoken, protocol.config.truncation)

    async def _write(self, response: ServerResponse, draft: Draft | None) -> None:
        try:
            draft = await self._draft(response, draft)
            await self._copy(response, draft.production)
        except EngineError as failure:
            response.fail(code=_code_of(failure), message=str(failure))
        except RateLimited as failure:
            response.fail(type="tokens", code=RATE_LIMIT_EXCEEDED, message=str(failure))
        except ContextFull as failure:
            response.fail(type="invalid_request_error", code=CONTEXT_FULL, message=str(failure))
        except Exception as failure:
            logger.exception("writing response %s failed", response.id)
            response.fail(code="server_error", message=f"The server failed: {type(failure).__name__}.")
        finally:
            if draft is not None:
                draft.discard()
        self._after(response)

    def _after(self, response: ServerResponse) -> None:
        self._wire.protocol.emit(self._meter.rate_limits())
        self._wire.flush()
        self.on_end(response)
        if not self._wire.protocol.active:
            self.quiet.set()

    async def _draft(self, response: ServerResponse, draft: Draft | None) -> Draft:
        """Return a draft that fits what is known now, when all user audio has its words."""
        try:
            settings, config = response.settings, self._wire.protocol.config
            items = settings.input if settings.input is not None else list(self._wire.protocol.conversation)
            for item in items:
                if not item.id:
                    item.id = self._wire.protocol.ids.new("item")
            await self._ears.hear(items, config.audio.input.format)
            reading = self._reading(settings)
            self._meter.begin(response, reading.prompt)
            self._window.keep(settings, reading)
            request = chat_request(settings, reading.items, self._ears.transcripts)
        except BaseException:
            if draft is not None:
                draft.discard()
            raise
        if draft is not None and draft.fits(settings, request):
            return draft
        if draft is not None:
            draft.discard()
        return Draft(self._wire, settings, request)

    async def _copy(self, response: ServerResponse, production: Production) -> None:
        encoder = OutputEncoder(response.settings.format)
        message_open = False
        while not response.ended:
            piece = await production.take()
            if isinstance(piece, Written | Spoken) and not message_open:
                response.begin_message()
                message_open = True
            elif isinstance(piece, Called):
                message_open = False
            fitting = self._fitting(response, piece)
            if fitting is not None:
                self._put(response, fitting, encoder)
            if fitting is not piece:
                response.incomplete("max_output_tokens")
            if not production.waiting or response.ended:
                self._wire.flush()
            await self._wire.outbox.room()

    def _put(self, response: ServerResponse, piece: Piece, encoder: OutputEncoder) -> None:
        match piece:
            case Written():
                response.text(piece.text)
            case Spoken():
                if piece.text:
                    response.transcript(piece.text)
                for audio_end_ms, characters in piece.marks:
                    response.spoken(audio_end_ms, characters)
                response.audio(encoder.encode(piece.pcm16))
            case Called():
                response.function_call(piece.name, piece.arguments)
            case Broke():
                raise piece.error
            case Ended():
                response.complete()

    def _fitting(self, response: ServerResponse, piece: Piece) -> Piece | None:
        """Return a piece itself, or as much of it as the limit of tokens leaves, if anything."""
        asked = response.settings.max_output_tokens
        limit = min(asked, self._longest_tokens) if isinstance(asked, int) else self._longest_tokens
        match piece:
            case Written():
                room = room_for_text(response, limit)
                return piece if len(piece.text) <= room else Written(piece.text[:room]) if room else None
            case Spoken():
                room_ms = room_for_audio_ms(response, limit, characters=len(piece.text))
                samples = int(room_ms * WIRE_SAMPLE_RATE_HZ // 1000)
                if len(piece.pcm16) <= samples:
                    return piece
                return Spoken(piece.text, piece.pcm16[:samples], piece.marks) if samples >= 0 else None
            case Called():
                return piece if len(piece.name + piece.arguments) <= room_for_text(response, limit) else None
        return piece


def _code_of(failure: EngineError) -> str:
    return "inference_rate_limit_exceeded" if isinstance(failure, EngineOverloaded) else "server_error"
